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
	// the peer's gateway addresses, so with two of each all are met in half a minute but for a chance in seven (8 * (7/8)^30).
	callEvery = time.Second
	// callTimeout bounds a call: two round trips of the slowest tunnels, with their connections to be made.
	callTimeout = 5 * time.Second
	// callsAtOnce bounds the calls under way; what finds no place is made a pause later.
	callsAtOnce = 64
)

// standbyKeeper keeps connections open over the tunnels that come next, on the paths whose policy asks for it. An answer
// tells it nothing: what is dead is the prober's to find out.
type standbyKeeper struct {
	*core
	url  string
	next http.RoundTripper
}

func newStandbyKeeper(c *core) *standbyKeeper {
	k := &standbyKeeper{core: c, url: cmp.Or(c.opts.EgressURL, feed.EgressURL()), next: c.opts.FeedTransport}
	if k.next == nil {
		k.next = feed.NewTransport()
	}
	return k
}

// Start calls until ctx ends. Only a leader does.
func (k *standbyKeeper) Start(ctx context.Context) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	free := make(chan struct{}, callsAtOnce)
	tick := time.NewTicker(callEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, path := range k.warmPaths(ctx) {
			select {
			case free <- struct{}{}:
				calls.Go(func() {
					k.call(ctx, path)
					<-free
				})
			default:
			}
		}
	}
}

// warmPaths are the names of the paths in use to other clusters that are kept warm.
func (k *standbyKeeper) warmPaths(ctx context.Context) []string {
	l := k.lister(ctx)
	policies := l.Policies()
	if err := l.Err(); err != nil {
		k.opts.Log.Error(err, "Cannot read which connections to keep open") // the next look tries again
		return nil
	}
	return k.paths.names(func(key translate.PathKey) bool {
		return key.Exporter != k.self.ID && translate.Warm(key, policies)
	})
}

func (k *standbyKeeper) call(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url+translate.StandbyURI(path), http.NoBody)
		if err != nil {
			return err
		}
		resp, err := k.next.RoundTrip(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("answered with %s", resp.Status)
		}
		return nil
	}()
	if err != nil && ctx.Err() == nil {
		k.opts.Log.V(1).Info("No connection could be kept open", "path", path, "error", err)
	}
}
