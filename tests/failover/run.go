// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

// Timing says how long a case is played, and how hard.
type Timing struct {
	// Calm is the time before it breaks, Broken the time until it heals, After the time that is looked at from then on.
	Calm, Broken, After time.Duration
	// Rate is requests a second for each protocol; GETRate those for GET.
	Rate, GETRate int
}

// length is how long the load goes on.
func (t Timing) length() time.Duration { return t.Calm + t.Broken + t.After }

func (t Timing) rate(p result.Protocol) int {
	if p == result.GET {
		return t.GETRate
	}
	return t.Rate
}

// Play plays a case: all protocols at once, and the same the plain way where the traffic says how to call it. When nothing
// went wrong but that a report of what happened was cut on its way, it plays once more.
func (b *Bench) Play(ctx context.Context, c Case, l Traffic) (*result.Played, error) {
	played, cut, err := b.play(ctx, c, l)
	if cut && ctx.Err() == nil {
		b.Say("%v; once more", err)
		played, _, err = b.play(ctx, c, l)
	}
	return played, err
}

// atRest waits until a case can begin.
func (b *Bench) atRest(ctx context.Context, l Traffic) error {
	if err := b.ready(ctx, l.client()); err != nil {
		return err
	}
	if l.PlainHost != "" {
		if err := b.plainAnew(ctx); err != nil {
			return fmt.Errorf("the plain way: %w", err)
		}
	}
	if !l.Idle {
		return nil
	}
	if err := quiet(ctx); err != nil {
		return err
	}
	// It may have taken minutes, and a tunnel that got bad in them is no longer first.
	return b.ready(ctx, l.client())
}

// play plays a case once. cut says that nothing went wrong but that a report was cut.
func (b *Bench) play(ctx context.Context, c Case, l Traffic) (played *result.Played, cut bool, err error) {
	if c.Prepare != nil {
		if err := c.Prepare(ctx, b); err != nil {
			return nil, false, fmt.Errorf("%s: preparing: %w", c.Name, err)
		}
	}
	if c.Restore != nil {
		defer func() {
			if restoreErr := c.Restore(context.WithoutCancel(ctx), b); restoreErr != nil {
				cut, err = false, errors.Join(err, fmt.Errorf("%s: restoring: %w", c.Name, restoreErr))
			}
		}()
	}
	if err := b.atRest(ctx, l); err != nil {
		return nil, false, fmt.Errorf("%s: before it broke: %w", c.Name, err)
	}
	l.Broken, l.After = max(l.Broken, c.Broken), max(l.After, c.After)
	played = &result.Played{Name: c.Name, Title: c.Title, End: l.length()}
	if c.Ways != nil {
		played.Ways = c.Ways(b)
	}
	start := time.Now()
	tcp := b.watchTCP(ctx, start)
	loads := b.start(ctx, l, start)
	breakErr := b.breakAndHeal(ctx, c, l.Timing, played, start)
	results, loadErrs := loads()
	tunnels := tcp()
	if err := errors.Join(append(loadErrs, breakErr)...); err != nil {
		onlyCut := !slices.ContainsFunc(loadErrs, func(e error) bool { return e != nil && !errors.Is(e, errCut) })
		return nil, breakErr == nil && onlyCut, fmt.Errorf("%s: %w", c.Name, err)
	}
	for _, r := range results {
		b.completeTunnels(r, tunnels)
		cell := result.CellOf(r.protocol, r.requests, played)
		if r.plain {
			played.Plain = append(played.Plain, cell)
		} else {
			played.Ours = append(played.Ours, cell)
		}
	}
	return played, false, nil
}

// breakAndHeal follows the case's times. Whatever happens, it heals.
func (b *Bench) breakAndHeal(ctx context.Context, c Case, t Timing, played *result.Played, start time.Time) error {
	if err := story.Pause(ctx, t.Calm); err != nil {
		return err
	}
	while, cancel := context.WithTimeout(ctx, t.Broken)
	defer cancel()
	played.Broke = time.Since(start)
	err := first(while, b, c)
	played.Cut = time.Since(start)
	if err == nil {
		err = c.Break(while, b)
	}
	<-while.Done()
	played.Healing = time.Since(start)
	healErr := c.Heal(context.WithoutCancel(ctx), b)
	played.Healed = time.Since(start)
	return errors.Join(err, healErr, ctx.Err())
}

// first breaks what the case breaks first, and waits.
func first(ctx context.Context, b *Bench, c Case) error {
	if c.First == nil {
		return nil
	}
	if err := c.First(ctx, b); err != nil {
		return err
	}
	return story.Pause(ctx, afterwards)
}

// sent is what one load generator has to tell.
type sent struct {
	protocol result.Protocol
	plain    bool
	requests []result.Request
}

// completeTunnels adds what answers do not say: the tunnel of a TCP connection, and that what the calling cluster answers
// itself crosses none.
func (b *Bench) completeTunnels(s sent, tcp timeline) {
	for i := range s.requests {
		r := &s.requests[i]
		switch {
		case r.Err != "":
		case r.Cluster == b.Consumer.Name:
			r.Tunnel = result.NoTunnel
		case s.protocol == result.TCP:
			r.Tunnel = tcp.at(s.plain, r.Cluster, r.Sent+r.Took)
		}
	}
}

// start starts the load; what it returns waits for its end.
func (b *Bench) start(ctx context.Context, l Traffic, start time.Time) func() ([]sent, []error) {
	hosts := []string{serviceHost}
	if l.PlainHost != "" {
		hosts = append(hosts, l.PlainHost)
	}
	out, errs := make([]sent, len(hosts)*len(l.Protocols)), make([]error, len(hosts)*len(l.Protocols))
	var wg sync.WaitGroup
	for i, host := range hosts {
		for j, p := range l.Protocols {
			k := i*len(l.Protocols) + j
			wg.Go(func() {
				requests, err := b.send(ctx, l.client(), p, host, l.rate(p), l.length(), start)
				out[k], errs[k] = sent{protocol: p, plain: i > 0, requests: requests}, err
			})
		}
	}
	return func() ([]sent, []error) {
		wg.Wait()
		return out, errs
	}
}
