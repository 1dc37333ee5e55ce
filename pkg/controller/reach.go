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

// reach knows which peers are out of reach: neither their feed is read nor does a hop answer. After a while their exports
// count as draining. Either of the two alone withdraws nothing: a cluster whose API server is down serves on, and one
// whose hops do not answer a probe may be reached by requests. The first sign of life brings the peer back.
type reach struct {
	after time.Duration

	mu sync.Mutex
	// since says when a peer was first found out of reach; nil until the first look in this life of the process.
	since map[string]time.Time
	lost  map[string]bool
}

func newReach(after time.Duration) *reach { return &reach{after: after, lost: map[string]bool{}} }

// update takes the peers that are out of reach now, and whether each was withdrawn before this process lived. It returns
// those of which something else is true now.
func (r *reach) update(now time.Time, unreached map[string]bool) (moved []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, lost := map[string]time.Time{}, map[string]bool{}
	for id, before := range unreached {
		since[id] = now
		if known, ok := r.since[id]; ok {
			since[id] = known
		}
		lost[id] = r.lost[id] || (r.since == nil && before) || now.Sub(since[id]) >= r.after
	}
	changed := map[string]bool{}
	for id := range lost {
		changed[id] = lost[id] != r.lost[id]
	}
	for id := range r.lost {
		changed[id] = lost[id] != r.lost[id]
	}
	for id, yes := range changed {
		if !yes {
			delete(changed, id)
		}
	}
	r.since, r.lost = since, lost
	return slices.Sorted(maps.Keys(changed))
}

// withdrawn tells whether a peer's exports count as draining. Until the first look what the status says holds.
func (r *reach) withdrawn(id string, status v1alpha1.PeerStatus) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == nil {
		return snapshot.Withdrawn(status)
	}
	return r.lost[id]
}

// unreached are the peers of which neither the feed is read nor a hop lives, and whether their status says that they are
// withdrawn. What nobody has measured yet, and what the prober says while it is doubted, is no reason.
func unreached(peers []v1alpha1.Peer, hops *hopBook, feeds *peerBook) map[string]bool {
	out := map[string]bool{}
	for i := range peers {
		id := peers[i].Spec.ClusterID
		known, doubt := hops.of(id)
		dead := len(known) > 0 && doubt == ""
		for _, h := range known {
			dead = dead && h.State == v1alpha1.HopDead
		}
		if dead && !feeds.synced(id) {
			out[id] = snapshot.Withdrawn(peers[i].Status)
		}
	}
	return out
}
