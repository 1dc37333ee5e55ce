// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"slices"
	"sync"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

// peerBook holds the last report of every peer's feed.
type peerBook struct {
	mu      sync.Mutex
	reports map[string]feed.PeerReport
}

func newPeerBook() *peerBook {
	return &peerBook{reports: map[string]feed.PeerReport{}}
}

func (b *peerBook) set(report feed.PeerReport) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports[report.ClusterID] = report
}

// get returns the last report of a peer; one that has not reported is pending.
func (b *peerBook) get(id string) feed.PeerReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	if report, ok := b.reports[id]; ok {
		return report
	}
	return feed.PeerReport{ClusterID: id, Reason: v1alpha1.ReasonPending, Message: "the peer's feed has not been read yet"}
}

func (b *peerBook) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.reports, id)
}

// keep forgets all peers but these.
func (b *peerBook) keep(ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.reports, func(id string, _ feed.PeerReport) bool { return !slices.Contains(ids, id) })
}

// synced tells whether a peer is being read at the moment.
func (b *peerBook) synced(id string) bool {
	return b.get(id).Reason == v1alpha1.ReasonSynced
}
