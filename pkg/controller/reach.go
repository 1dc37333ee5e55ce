// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// reach knows which peers are out of reach: neither their feed is read nor does a hop answer, or they turn this cluster
// away. After a while, or at once if they said so, their exports count as draining. Either of the first two alone withdraws
// nothing: a cluster whose API server is down serves on, and one whose hops do not answer a probe may be reached by
// requests. The first hop that returns, or the feed, brings the peer back.
type reach struct {
	after time.Duration

	mu sync.Mutex
	// since says when a peer was first found out of reach; nil until the first look in this life of the process.
	since map[string]time.Time
	// lost are the reasons of the condition Reachable of peers whose exports count as draining.
	lost map[string]string
}

func newReach(after time.Duration) *reach { return &reach{after: after, lost: map[string]string{}} }

// absence is how a peer is out of reach.
type absence struct {
	// before is why its exports counted as draining before this process lived, empty if they did not.
	before string
	// refuses: it has said that this cluster is no peer of its any more, and nothing else since.
	refuses bool
}

// update takes the peers that are out of reach now. It returns those of which something else is true now.
func (r *reach) update(now time.Time, unreached map[string]absence) (moved []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, lost := map[string]time.Time{}, map[string]string{}
	for id, is := range unreached {
		since[id] = now
		if known, ok := r.since[id]; ok {
			since[id] = known
		}
		switch {
		case is.refuses:
			lost[id] = v1alpha1.ReasonRefused
		case r.lost[id] != "", r.since == nil && is.before != "", now.Sub(since[id]) >= r.after:
			lost[id] = v1alpha1.ReasonWithdrawn
		}
	}
	for _, id := range slices.Sorted(maps.Keys(lost)) {
		if lost[id] != r.lost[id] {
			moved = append(moved, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.lost)) {
		if lost[id] == "" {
			moved = append(moved, id)
		}
	}
	r.since, r.lost = since, lost
	return moved
}

// withdrawn is why a peer's exports count as draining, empty if they do not. Until the first look what the status says holds.
func (r *reach) withdrawn(id string, status v1alpha1.PeerStatus) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == nil {
		return snapshot.WithdrawnBecause(status)
	}
	return r.lost[id]
}

// unreached are the peers of which neither the feed is read nor a hop lives, and those that turn this cluster away. What
// nobody has measured yet, and what the prober says while it is doubted, is no reason.
func unreached(peers []v1alpha1.Peer, hops *hopBook, feeds *peerBook) map[string]absence {
	out := map[string]absence{}
	for i := range peers {
		id, before := peers[i].Spec.ClusterID, snapshot.WithdrawnBecause(peers[i].Status)
		known, doubt := hops.of(id)
		dead := len(known) > 0 && doubt == ""
		for _, h := range known {
			dead = dead && h.State == v1alpha1.HopDead
		}
		// Later its gateway answers in place of its controller, which says less.
		refuses := feeds.get(id).TurnedAway || before == v1alpha1.ReasonRefused
		if (dead || refuses) && !feeds.synced(id) {
			out[id] = absence{before: before, refuses: refuses}
		}
	}
	return out
}
