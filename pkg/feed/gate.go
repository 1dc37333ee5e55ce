// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"sync"

	"golang.org/x/time/rate"
)

// gate bounds what callers may cost. Its maps are keyed by cluster ids of joined peers, so they cannot grow without an
// operator's doing.
type gate struct {
	limits   ServerLimits
	requests chan struct{}

	mu      sync.Mutex
	rates   map[string]*rate.Limiter
	watches map[string][]*held // oldest first
	total   int
}

// held is one watch: as whom the caller came, and how to end it.
type held struct {
	identity string
	end      context.CancelFunc
}

func newGate(limits ServerLimits) *gate {
	return &gate{
		limits: limits, requests: make(chan struct{}, limits.Requests),
		rates: map[string]*rate.Limiter{}, watches: map[string][]*held{},
	}
}

// admit counts one request of the peer.
func (g *gate) admit(clusterID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	limiter, ok := g.rates[clusterID]
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(g.limits.RequestsPerSecond), g.limits.Burst)
		g.rates[clusterID] = limiter
	}
	return limiter.Allow()
}

// enter takes a place for a request that is not a watch; leave is nil when there is none.
func (g *gate) enter() (leave func()) {
	select {
	case g.requests <- struct{}{}:
		return func() { <-g.requests }
	default:
		return nil
	}
}

// watch takes a place for a watch, and ends the peer's oldest where it has too many: a caller whose tunnel died comes
// back before the dead connection is noticed here. leave is nil when all places are taken by others.
func (g *gate) watch(clusterID, identity string, end context.CancelFunc) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.watches[clusterID]
	if len(own) >= g.limits.WatchesPerPeer {
		own[0].end()
		own = own[1:]
		g.total--
	}
	if g.total >= g.limits.Watches {
		g.watches[clusterID] = own
		return nil
	}
	w := &held{identity: identity, end: end}
	g.watches[clusterID] = append(own, w)
	g.total++
	return func() { g.release(clusterID, w) }
}

func (g *gate) release(clusterID string, w *held) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.watches[clusterID]
	for i := range own {
		if own[i] == w {
			g.watches[clusterID] = append(own[:i:i], own[i+1:]...)
			g.total--
			break
		}
	}
	if len(g.watches[clusterID]) == 0 {
		delete(g.watches, clusterID)
	}
}

// dismiss ends the watches of callers that are no longer welcome; their places are given back as they end.
func (g *gate) dismiss(welcome func(clusterID, identity string) bool) {
	g.mu.Lock()
	var ends []context.CancelFunc
	for clusterID, own := range g.watches {
		for _, w := range own {
			if !welcome(clusterID, w.identity) {
				ends = append(ends, w.end)
			}
		}
	}
	g.mu.Unlock()
	for _, end := range ends {
		end()
	}
}
