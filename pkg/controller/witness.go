// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/pkg/probe"
)

const (
	// answerWithin is how long a peer's feed has to answer when no hop answers the prober: the last verdicts hold so long.
	// Envoy has left dead hops out by then.
	answerWithin = time.Second
	// askAgainAfter is how long its testimony is worth something.
	askAgainAfter = 2 * time.Second
	// believeAfter is how far its answers must be apart until they speak against the prober: where tunnels have just come
	// back, their next handshake has been answered by then too, and where they were there for a moment, the second fails.
	believeAfter = probe.Interval*6/5 + probe.GiveUp
)

// witness asks the feeds of peers whose hops are all said to be dead whether one of them works all the same.
type witness struct {
	// ask tells whether a feed answered before the context ended; told is called after each answer.
	ask  func(ctx context.Context, cluster string) bool
	told func()
	now  func() time.Time

	mu    sync.Mutex
	known map[string]testimony
}

// testimony is what a feed said last, since when it says so, and when it said so last; until it has said something it is
// probe.FeedAsked.
type testimony struct {
	says      probe.Testimony
	since, at time.Time
	asked     bool // and not answered yet
}

func newWitness(ask func(context.Context, string) bool, told func(), now func() time.Time) *witness {
	return &witness{ask: ask, told: told, now: now, known: map[string]testimony{}}
}

// silent are the clusters of which no hop answers. It asks the feeds of those that are being read, and forgets what it
// knew of all others.
func (w *witness) silent(ctx context.Context, clusters map[string]bool, read func(cluster string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for cluster := range w.known {
		if !clusters[cluster] || !read(cluster) {
			delete(w.known, cluster)
		}
	}
	for cluster := range clusters {
		last, known := w.known[cluster]
		if !read(cluster) || last.asked || known && w.now().Sub(last.at) < askAgainAfter {
			continue
		}
		if !known {
			last.says = probe.FeedAsked
		}
		last.asked = true
		w.known[cluster] = last
		go w.question(ctx, cluster)
	}
}

func (w *witness) question(ctx context.Context, cluster string) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	says := probe.FeedSilent
	if w.ask(ctx, cluster) {
		says = probe.FeedAnswers
	}
	w.mu.Lock()
	if last, wanted := w.known[cluster]; wanted {
		now := w.now()
		if last.says != says {
			last.since = now
		}
		w.known[cluster] = testimony{says: says, since: last.since, at: now}
	}
	w.mu.Unlock()
	w.told()
}

// says is what is known of a cluster's feed.
func (w *witness) says(cluster string) probe.Testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.known[cluster]
	if known.says == probe.FeedAnswers && known.at.Sub(known.since) < believeAfter {
		return probe.FeedAsked
	}
	return known.says
}
