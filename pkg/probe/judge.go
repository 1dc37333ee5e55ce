// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"maps"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Testimony is what a peer's feed says about hops that are all said to be dead: it is read over the same hops.
type Testimony int

// What a feed can say.
const (
	// FeedSilent: the feed is not being read, or did not answer when asked.
	FeedSilent Testimony = iota
	// FeedAsked: it has been asked, and may still answer.
	FeedAsked
	// FeedAnswers: it has answered since the hops are said to be dead.
	FeedAnswers
)

// Judgement is of which clusters the states of hops are not acted on. Of all others they are.
type Judgement struct {
	// Doubts say of a cluster why the states of its hops cannot be true; clusters without doubt are missing.
	Doubts map[string]string
	// Undecided are the clusters of which it is too early to act: until the feed has answered or failed to, that of any of
	// them where no hop of any cluster answers, or while a hop has just died and no other one has answered yet.
	Undecided map[string]bool
}

// Acts tells whether the states of a cluster's hops are acted on.
func (j Judgement) Acts(cluster string) bool { return j.Doubts[cluster] == "" && !j.Undecided[cluster] }

// Judge tells which states can be true. Those that cannot move nothing: then Envoy's own detection rules alone.
//
// A cluster that is said to be dead on every hop while its feed answers over one of them is not. A prober that is proven
// wrong about one cluster in this way, and says the same of all others, is believed about none. Where no feed answers
// either, there is nothing that speaks against it: this cluster may be the one that is cut off. doubted are the clusters
// that are in doubt so far (Silent).
func Judge(reports []Report, doubted map[string]string, feed func(cluster string) Testimony) Judgement {
	out := Judgement{Doubts: map[string]string{}}
	out.doubt(reports, doubted, feed)
	return out
}

// Verdict is the state by which the hop is ordered.
func (r Report) Verdict() v1alpha1.HopState {
	if r.Returning {
		return translate.HopReturning
	}
	return r.State
}

// Silent are the clusters of which every hop is said to be dead or cannot be tried. A dead hop that answers again, and has to
// do so for a while, is not silent: of course the feed is read over it. Only of a cluster that is in doubt it is, until it is
// no longer said to be dead, so that nothing moves because the prober recovers.
func Silent(reports []Report, doubted map[string]string) map[string]bool {
	out := map[string]bool{}
	for _, r := range reports {
		silent, known := out[r.Cluster]
		dead := r.State == v1alpha1.HopDead && (!r.Answering || doubted[r.Cluster] != "")
		out[r.Cluster] = (silent || !known) && (r.Broken || dead)
	}
	for cluster, silent := range out {
		if !silent {
			delete(out, cluster)
		}
	}
	return out
}

// dying are the clusters of which a hop has just died and every other one that is not dead owes an answer: the next moment
// tells whether all of them die, which is for the feed to say something about, or one.
func dying(reports []Report) map[string]bool {
	justDied, answers, out := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range reports {
		justDied[r.Cluster] = justDied[r.Cluster] || r.JustDied
		switch {
		case r.Broken || r.State == v1alpha1.HopDead:
		case r.Waiting:
			out[r.Cluster] = true
		default:
			answers[r.Cluster] = true
		}
	}
	maps.DeleteFunc(out, func(cluster string, _ bool) bool { return answers[cluster] || !justDied[cluster] })
	return out
}

func (j *Judgement) doubt(reports []Report, doubted map[string]string, feed func(string) Testimony) {
	clusters, tried := map[string]bool{}, map[string]bool{}
	for _, r := range reports {
		clusters[r.Cluster] = true
		tried[r.Cluster] = tried[r.Cluster] || !r.Broken
	}
	j.Undecided = dying(reports)
	silent, disproved := Silent(reports, doubted), false
	for cluster := range silent {
		switch testimony := feed(cluster); {
		case !tried[cluster]:
			j.Doubts[cluster] = "the prober cannot open connections; see the controller's log"
		case testimony == FeedAnswers:
			disproved = true
			j.Doubts[cluster] = "no hop answers the prober, but the peer's feed is read over one of them"
		case testimony == FeedAsked && doubted[cluster] != "":
			j.Doubts[cluster] = doubted[cluster]
		case testimony == FeedAsked:
			j.Undecided[cluster] = true
		}
	}
	alike := len(silent) == len(clusters) && len(clusters) > 1
	if alike && len(j.Undecided) > 0 {
		for cluster := range clusters {
			j.Undecided[cluster] = true
		}
	}
	if disproved && alike {
		for cluster := range clusters {
			j.Doubts[cluster] = "no hop of any peer answers the prober, but a peer's feed is read: the fault is in this cluster"
		}
		clear(j.Undecided)
	}
}
