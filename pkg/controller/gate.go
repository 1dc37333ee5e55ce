// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// gate holds new imports back until every joined peer has been read once or has been given up on: what the first import
// of a name looks like depends on who exported it first, and that may be a peer not read yet.
type gate struct {
	timeout time.Duration
	now     func() time.Time

	mu      sync.Mutex
	synced  map[string]bool
	since   map[string]time.Time
	waiting map[types.NamespacedName]bool
}

func newGate(timeout time.Duration, now func() time.Time) *gate {
	return &gate{
		timeout: timeout,
		now:     now,
		synced:  map[string]bool{},
		since:   map[string]time.Time{},
		waiting: map[types.NamespacedName]bool{},
	}
}

// wait says how long import has to wait for the peers; 0 lets it pass. What waits is returned by the next call of sync.
func (g *gate) wait(peers []string, key types.NamespacedName) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	longest := time.Duration(0)
	for _, id := range peers {
		longest = max(longest, g.left(id))
	}
	if longest > 0 {
		g.waiting[key] = true
	} else {
		delete(g.waiting, key)
	}
	return longest
}

// left is how long a peer is still waited for.
func (g *gate) left(id string) time.Duration {
	if g.synced[id] {
		return 0
	}
	now := g.now()
	if _, ok := g.since[id]; !ok {
		g.since[id] = now
	}
	return max(0, g.since[id].Add(g.timeout).Sub(now))
}

// sync notes that a peer has been read, and returns what waited if that is news.
func (g *gate) sync(id string) []types.NamespacedName {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.synced[id] {
		return nil
	}
	g.synced[id] = true
	return g.waits()
}

// giveUp lets imports pass without a peer that an earlier life of the process has given up on already.
func (g *gate) giveUp(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.since[id] = time.Time{}
}

// forget starts anew with a peer that has left, and returns what may have waited for it.
func (g *gate) forget(id string) []types.NamespacedName {
	g.mu.Lock()
	defer g.mu.Unlock()
	read := g.synced[id]
	delete(g.synced, id)
	delete(g.since, id)
	if read {
		return nil
	}
	return g.waits()
}

func (g *gate) waits() []types.NamespacedName {
	keys := make([]types.NamespacedName, 0, len(g.waiting))
	for key := range g.waiting {
		keys = append(keys, key)
	}
	return keys
}

// givenUp tells whether imports are written without the peer, and else when they will be.
func (g *gate) givenUp(id string) (bool, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.synced[id] {
		return false, 0
	}
	left := g.left(id)
	return left == 0, left
}
