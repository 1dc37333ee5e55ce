// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

const (
	// tellEvery is the least time between two writes of a Peer's figures when no state changes.
	tellEvery = 30 * time.Second
	// A figure has moved when it differs by more than this share of the larger one, and by more than so many milliseconds or
	// percentage points.
	movedShare   = 0.2
	movedMs      = 2
	movedPercent = 0.2

	// doubtFor is how long a doubt that is found in the status holds: as long as it takes to find the last of all hops dead
	// that has never answered, 2.5 s (docs/tunnels.md), and then some. From there on it holds while the feed is asked.
	doubtFor   = 4 * time.Second
	foundDoubt = "the prober was in doubt before this controller began to lead"
)

// hopBook holds the verdicts that order paths, and what Peers' status is to say of their hops.
type hopBook struct {
	mu       sync.Mutex
	verdicts map[translate.HopKey]v1alpha1.HopState // never changed, only replaced; nil before the first look
	doubts   map[string]string                      // by cluster; never changed, only replaced
	last     map[translate.HopKey]probe.Report      // as acted on
	told     map[string]map[translate.HopKey]v1alpha1.HopStatus
	toldAt   map[string]time.Time
	// inDoubt says until when doubts hold that were found in the status.
	inDoubt map[string]time.Time
	// spared are hops that died and whose death was never acted on.
	spared map[translate.HopKey]bool
}

func newHopBook() *hopBook {
	return &hopBook{
		doubts: map[string]string{}, last: map[translate.HopKey]probe.Report{},
		told: map[string]map[translate.HopKey]v1alpha1.HopStatus{}, toldAt: map[string]time.Time{},
		inDoubt: map[string]time.Time{}, spared: map[translate.HopKey]bool{},
	}
}

// hopMove is a change of one hop's state.
type hopMove struct {
	from v1alpha1.HopState
	to   probe.Report
}

// hopNews is what a look has brought.
type hopNews struct {
	// reorder are the clusters whose hops have other verdicts, tell those whose Peers say something else now.
	reorder, tell []string
	moves         []hopMove
}

// health is what orders paths; nil while nothing has been looked at.
func (b *hopBook) health() map[translate.HopKey]v1alpha1.HopState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.verdicts
}

// of is what the status of a peer says of its hops, and why it is not believed; empty if it is.
func (b *hopBook) of(cluster string) (hops map[translate.HopKey]v1alpha1.HopStatus, doubt string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told[cluster], b.doubts[cluster]
}

// doubted are the clusters whose hops are in doubt, and why.
func (b *hopBook) doubted() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.doubts
}

// adopt takes over what stands in the status of a peer that has not been told anything in this life of the process, and
// whether the prober is in doubt about it.
func (b *hopBook) adopt(now time.Time, cluster string, found map[translate.HopKey]v1alpha1.HopStatus, doubted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, told := b.told[cluster]; told || len(found) == 0 {
		return
	}
	b.told[cluster], b.toldAt[cluster] = found, now
	if doubted {
		b.inDoubt[cluster] = now.Add(doubtFor)
	}
	for key, h := range found {
		b.last[key] = foundReport(key, h)
	}
}

// states are the hops as they were acted on last, with the figures of now.
func (b *hopBook) states(reports []probe.Report) []probe.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(reports)
	for i := range out {
		out[i].State = b.last[out[i].HopKey].State
	}
	return out
}

// withFoundDoubts adds those that were found in the status, until it is known whether they hold.
func (b *hopBook) withFoundDoubts(now time.Time, j probe.Judgement) probe.Judgement {
	doubts := maps.Clone(j.Doubts)
	for cluster, until := range b.inDoubt {
		switch {
		case !now.Before(until):
			delete(b.inDoubt, cluster)
		case doubts[cluster] == "":
			doubts[cluster] = foundDoubt
		}
	}
	j.Doubts = doubts
	return j
}

// acted replaces the states of hops on which nothing is acted on by those that were acted on last. A death that nobody acted
// on while it was doubted is not acted on either once the hop answers again, nor is the return from it.
func (b *hopBook) acted(reports []probe.Report, j probe.Judgement) []probe.Report {
	out := slices.Clone(reports)
	for i := range out {
		r := &out[i]
		before, known := b.last[r.HopKey]
		if !known {
			before = probe.Report{State: v1alpha1.HopUnknown, Reason: v1alpha1.ReasonNotMeasured, Since: r.Since}
		}
		dead, acts := r.State == v1alpha1.HopDead, j.Acts(r.Cluster)
		switch {
		case dead && known && before.State != v1alpha1.HopDead && (r.Answering || !acts):
			b.spared[r.HopKey] = true
		case dead, !r.Returning:
			delete(b.spared, r.HopKey)
		}
		switch {
		case !acts, dead && b.spared[r.HopKey]:
			r.State, r.Reason, r.Since, r.Returning, r.Hold = before.State, before.Reason, before.Since, before.Returning, before.Hold
		case b.spared[r.HopKey]:
			r.Returning = false
		}
	}
	return out
}

// update takes what is measured and what it is worth.
func (b *hopBook) update(now time.Time, reports []probe.Report, j probe.Judgement) hopNews {
	b.mu.Lock()
	defer b.mu.Unlock()
	var news hopNews
	j = b.withFoundDoubts(now, j)
	reports = b.acted(reports, j)
	verdicts := map[translate.HopKey]v1alpha1.HopState{}
	for _, r := range reports {
		if state := translate.Held(r.Verdict(), j.Doubts[r.Cluster] != ""); state != v1alpha1.HopUnknown {
			verdicts[r.HopKey] = state
		}
	}
	news.reorder = clustersThatDiffer(b.verdicts, verdicts)
	b.verdicts = verdicts
	news.moves = b.moves(reports)
	byCluster := map[string][]probe.Report{}
	for _, r := range reports {
		byCluster[r.Cluster] = append(byCluster[r.Cluster], r)
	}
	for cluster, of := range byCluster {
		if b.doubts[cluster] != j.Doubts[cluster] || b.hasNews(now, cluster, of) {
			b.told[cluster], b.toldAt[cluster] = statusOf(of), now
			news.tell = append(news.tell, cluster)
		}
	}
	b.doubts = j.Doubts
	for cluster := range b.told {
		if byCluster[cluster] == nil {
			delete(b.told, cluster)
			delete(b.toldAt, cluster)
		}
	}
	slices.Sort(news.tell)
	return news
}

// moves are the hops whose state is another than at the last look. That a new hop answers is no news.
func (b *hopBook) moves(reports []probe.Report) []hopMove {
	var out []hopMove
	seen := map[translate.HopKey]probe.Report{}
	for _, r := range reports {
		before, known := b.last[r.HopKey]
		seen[r.HopKey] = r
		if known && before.State != r.State && (before.State != v1alpha1.HopUnknown || r.State != v1alpha1.HopHealthy) {
			out = append(out, hopMove{before.State, r})
		}
	}
	b.last = seen
	return out
}

// hasNews tells whether a Peer's status is to be written: at once when a state changed or a hop came or went, now and
// then when only figures moved.
func (b *hopBook) hasNews(now time.Time, cluster string, reports []probe.Report) bool {
	told := b.told[cluster]
	if len(told) != len(reports) {
		return true
	}
	rested, figures := now.Sub(b.toldAt[cluster]) >= tellEvery, false
	for _, r := range reports {
		before, ok := told[r.HopKey]
		after := hopStatusOf(r)
		if !ok || before.State != after.State || before.Reason != after.Reason {
			return true
		}
		figures = figures || (r.Measured && figuresMoved(before, after))
	}
	return rested && figures
}

func figuresMoved(a, b v1alpha1.HopStatus) bool {
	number := func(v *int32) float64 {
		if v == nil {
			return 0
		}
		return float64(*v)
	}
	moved := func(x, y, least float64) bool {
		return math.Abs(x-y) > least && math.Abs(x-y) > movedShare*max(x, y)
	}
	loss := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	return moved(number(a.RTTMs), number(b.RTTMs), movedMs) || moved(number(a.JitterMs), number(b.JitterMs), movedMs) ||
		moved(loss(a.LossPercent), loss(b.LossPercent), movedPercent)
}

func statusOf(reports []probe.Report) map[translate.HopKey]v1alpha1.HopStatus {
	out := map[translate.HopKey]v1alpha1.HopStatus{}
	for _, r := range reports {
		out[r.HopKey] = hopStatusOf(r)
	}
	return out
}

// hopStatusOf is a report as a Peer's status has it, without the tunnel, which the card knows.
func hopStatusOf(r probe.Report) v1alpha1.HopStatus {
	h := v1alpha1.HopStatus{Policy: r.Policy, Address: r.Address, Port: r.Port, State: r.State, Reason: r.Reason}
	switch {
	case r.Returning: // it is ordered by this, also while it cannot be tried
		h.Reason = v1alpha1.HopReasonReturning
	case r.Broken:
		h.Reason = v1alpha1.HopReasonCannotTry
	}
	if since := metav1.NewTime(r.Since.Truncate(time.Second)); !r.Since.IsZero() {
		h.Since = &since
	}
	if r.Measured {
		h.RTTMs, h.JitterMs = milliseconds(r.RTT), milliseconds(r.Jitter)
		percent := math.Round(1000*r.Loss) / 10
		h.LossPercent = &percent
	}
	return h
}

// foundReport is the report that a Peer's status was made of (hopStatusOf), as far as a new leader goes on from it. That a hop
// could not be tried, or is returning, does not say why it is in its state.
func foundReport(key translate.HopKey, h v1alpha1.HopStatus) probe.Report {
	r := probe.Report{HopKey: key, State: h.State, Reason: h.Reason, Returning: snapshot.Verdict(h) == translate.HopReturning}
	if h.Since != nil {
		r.Since = h.Since.Time
	}
	switch {
	case h.Reason != v1alpha1.HopReasonCannotTry && !r.Returning:
	case h.State == v1alpha1.HopHealthy:
		r.Reason = v1alpha1.HopReasonAnswers
	default:
		r.Reason = v1alpha1.ReasonNotMeasured
	}
	return r
}

// milliseconds rounds up: what takes time takes a millisecond at least.
func milliseconds(d time.Duration) *int32 {
	ms := int32((d + time.Millisecond - 1) / time.Millisecond)
	return &ms
}

// clustersThatDiffer are the clusters of the hops on which two sets of verdicts do not agree.
func clustersThatDiffer(a, b map[translate.HopKey]v1alpha1.HopState) []string {
	out := map[string]bool{}
	for key, state := range a {
		if b[key] != state {
			out[key.Cluster] = true
		}
	}
	for key, state := range b {
		if a[key] != state {
			out[key.Cluster] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}
