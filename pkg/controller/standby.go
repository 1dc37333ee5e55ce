// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/translate"
)

const (
	// callEvery is the pause between two calls on a path. Each meets one worker of one pod of the egress gateway and one of
	// the peer's gateway addresses, so with two of each all are met in half a minute but for a chance in seven (8 * (7/8)^30)
	// if they are drawn by lot.
	callEvery = time.Second
	// callTimeout bounds a call: a round trip each of two tunnels, with connections to be made.
	callTimeout = 5 * time.Second
)

// standbyKeeper keeps connections open over the tunnels that come next, on the paths whose policy asks for it. An answer
// tells it nothing of tunnels: what is dead is the prober's to find out.
type standbyKeeper struct {
	*core
	url  string
	next http.RoundTripper
	// underWay are the paths with a call that has not ended: one peer that does not answer costs the others nothing.
	underWay sync.Map
}

func newStandbyKeeper(c *core) *standbyKeeper {
	k := &standbyKeeper{core: c, url: cmp.Or(c.opts.EgressURL, feed.EgressURL()), next: c.opts.FeedTransport}
	if k.next == nil {
		k.next = feed.NewTransport()
	}
	return k
}

// Start calls until ctx ends, the paths one after the other. Only a leader does.
func (k *standbyKeeper) Start(ctx context.Context) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	for ctx.Err() == nil {
		paths := k.warmPaths(ctx)
		pause := callEvery / time.Duration(max(1, len(paths)))
		for _, path := range paths {
			if _, busy := k.underWay.LoadOrStore(path, true); !busy {
				calls.Go(func() {
					defer k.underWay.Delete(path)
					k.call(ctx, path)
				})
			}
			pauseFor(ctx, pause)
		}
		if len(paths) == 0 {
			pauseFor(ctx, pause)
		}
	}
	return nil
}

// pauseFor returns after a while, or when ctx ends.
func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// warmPaths are the names of the paths in use that are kept warm.
func (k *standbyKeeper) warmPaths(ctx context.Context) []string {
	l := k.lister(ctx)
	policies := l.Policies()
	if err := l.Err(); err != nil {
		k.opts.Log.Error(err, "Cannot read which connections to keep open") // the next look tries again
		return nil
	}
	return k.paths.names(func(key translate.PathKey) bool { return translate.Warm(k.self.ID, key, policies) })
}

// call makes one call and counts what came of it.
func (k *standbyKeeper) call(ctx context.Context, path string) {
	err := k.ask(ctx, path)
	if ctx.Err() != nil {
		return
	}
	k.metrics.standbyCall(err)
	if err != nil {
		k.opts.Log.V(1).Info("A call to keep connections open failed", "path", path, "error", err.Error())
	}
}

func (k *standbyKeeper) ask(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url+translate.StandbyURI(path), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := k.next.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if !translate.IsStandbyAnswer(resp.StatusCode) {
		return fmt.Errorf("answered with %s", resp.Status)
	}
	return nil
}
