// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// lookEvery is how often hops that came or went, and figures that moved, are noticed. Changes of state are at once.
const lookEvery = time.Second

// lookAgainAfter is how soon it is looked again while it is not decided which verdicts hold: about a round trip, for that a
// hop answers is no change of state.
const lookAgainAfter = 50 * time.Millisecond

// verdictsTogether is how long paths wait for what else a dying tunnel takes along: its hops to other clusters and other
// gateways fall within the same moments, and a path would be written for each.
const verdictsTogether = 150 * time.Millisecond

// hopWatch measures the hops of accepted peers while this replica leads, and has paths and Peers follow the verdicts.
type hopWatch struct {
	*core
	prober  *probe.Prober
	witness *witness
}

func newHopWatch(c *core) *hopWatch {
	w := &hopWatch{core: c}
	w.witness = newWitness(feed.NewAsker(c.opts.FeedBaseURL, c.opts.FeedTransport).Answers, c.lookAtHops, c.now)
	dial := c.opts.ProbeDial
	if dial == nil {
		dial = probe.Handshake
	}
	w.prober = probe.New(dial, c.lookAtHops)
	return w
}

// lookAtHops has verdicts, and what feeds say of them, looked at soon; several calls count as one.
func (c *core) lookAtHops() {
	select {
	case c.hopsChanged <- struct{}{}:
	default:
	}
}

// Start measures until ctx ends. Only a leader does.
func (w *hopWatch) Start(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- w.prober.Start(ctx) }()
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		timer.Reset(w.look(ctx))
		select {
		case <-ctx.Done():
			return <-done
		case <-timer.C:
		case <-w.hopsChanged:
		}
	}
}

// look compares what is measured with what is to be measured, and what was decided with what is to be decided. It tells
// when to look again if no state changes.
func (w *hopWatch) look(ctx context.Context) time.Duration {
	l := w.lister(ctx)
	targets, peers := hopTargets(l), l.Peers()
	if err := l.Err(); err != nil {
		w.opts.Log.Error(err, "Cannot read which hops to measure") // the next look tries again
		return lookEvery
	}
	for i := range peers {
		w.hops.adopt(w.now(), peers[i].Spec.ClusterID, foundHops(peers, peers[i].Spec.ClusterID), snapshot.ProbeBroken(peers[i].Status))
	}
	w.prober.Set(targets)
	reports := w.prober.Reports()
	doubted := w.hops.doubted()
	w.witness.silent(ctx, probe.Silent(reports, doubted), w.peerBook.synced)
	judgement := probe.Judge(reports, doubted, w.witness.says)
	news := w.hops.update(w.now(), reports, judgement)
	for _, cluster := range news.reorder {
		w.pathKeys.askAfter(verdictsTogether, w.pathsOf(cluster)...)
	}
	for _, m := range news.moves {
		w.tellMove(peers, m)
	}
	moved := w.reach.update(w.now(), unreached(peers, w.hops, w.peerBook))
	for i := range peers {
		if slices.Contains(news.tell, peers[i].Spec.ClusterID) || slices.Contains(moved, peers[i].Spec.ClusterID) {
			w.peers.ask(types.NamespacedName{Namespace: v1alpha1.Namespace, Name: peers[i].Name})
		}
	}
	if len(judgement.Undecided) > 0 {
		return lookAgainAfter
	}
	return lookEvery
}

// hopTargets are the hops of all accepted peers, with the service levels that this cluster has for their policies, and
// what the Peers' status says of them: a new leader starts from the order that it finds.
func hopTargets(l *lister) []probe.Target {
	policies, peers := l.Policies(), l.Peers()
	var out []probe.Target
	for _, card := range snapshot.Cards(l) {
		if card.ClusterID == l.Self().ID {
			continue
		}
		known := foundHops(peers, card.ClusterID)
		for _, hop := range hopsOf(card) {
			spec := specOf(hop.Policy, policies)
			target := probe.Target{
				HopKey: hopKey(card.ClusterID, hop), Bounds: probe.BoundsOf(spec.SLA), Warm: spec.Standby == v1alpha1.StandbyWarm,
			}
			if found, ok := known[target.HopKey]; ok {
				target.Found = foundReport(target.HopKey, found)
			}
			out = append(out, target)
		}
	}
	return out
}

func hopKey(cluster string, h v1alpha1.HopStatus) translate.HopKey {
	return translate.HopKey{Cluster: cluster, Policy: h.Policy, Address: h.Address, Port: h.Port}
}

// specOf is what this cluster says of a policy; nothing if it has none of that name.
func specOf(policy string, policies []v1alpha1.WANPolicy) (out v1alpha1.WANPolicySpec) {
	if i := slices.IndexFunc(policies, func(p v1alpha1.WANPolicy) bool { return p.Name == policy }); i >= 0 {
		out = policies[i].Spec
	}
	return out
}

// foundHops is what the status of a Peer says of its hops.
func foundHops(peers []v1alpha1.Peer, cluster string) map[translate.HopKey]v1alpha1.HopStatus {
	out := map[translate.HopKey]v1alpha1.HopStatus{}
	for i := range peers {
		if peers[i].Spec.ClusterID != cluster {
			continue
		}
		for _, h := range peers[i].Status.Hops {
			out[hopKey(cluster, h)] = h
		}
	}
	return out
}

// tellMove tells of one hop on its Peer, in the log, and to who counts.
func (w *hopWatch) tellMove(peers []v1alpha1.Peer, m hopMove) {
	w.metrics.moves.WithLabelValues(m.to.Cluster, m.to.Policy, string(m.to.State), m.to.Reason).Inc()
	w.opts.Log.Info("A hop changed its state", "peer", m.to.Cluster, "policy", m.to.Policy, "address", m.to.Address, "port", m.to.Port,
		"state", m.to.State, "before", m.from, "reason", m.to.Reason, "rtt", m.to.RTT, "jitter", m.to.Jitter, "loss", m.to.Loss)
	i := slices.IndexFunc(peers, func(p v1alpha1.Peer) bool { return p.Spec.ClusterID == m.to.Cluster })
	if i < 0 {
		return
	}
	kind := corev1.EventTypeWarning
	if m.to.State == v1alpha1.HopHealthy {
		kind = corev1.EventTypeNormal
	}
	w.notes.hop(&peers[i], kind, m)
}

// hopAction tells the Events of one hop from those of others, and those of a fall after which it stays away longer from the
// one before: Events that differ in nothing but their note are counted, and show the first one's.
func hopAction(m hopMove) string {
	text := "Measure " + m.to.Policy + " to " + net.JoinHostPort(m.to.Address, strconv.Itoa(int(m.to.Port)))
	if m.to.Hold > 0 {
		text += " again for " + m.to.Hold.Round(time.Second).String()
	}
	return text
}

func describeMove(m hopMove) string {
	text := fmt.Sprintf("policy %s to %s port %d is %s (%s), was %s", m.to.Policy, m.to.Address, m.to.Port, m.to.State, m.to.Reason, m.from)
	if m.to.Measured {
		text += fmt.Sprintf("; round trip %s, jitter %s, loss %.1f %%", m.to.RTT.Round(time.Millisecond), m.to.Jitter.Round(time.Millisecond), 100*m.to.Loss)
	}
	if m.to.Hold > 0 {
		text += fmt.Sprintf("; it returns in %s at the earliest", m.to.Hold.Round(time.Second))
	}
	return text
}
