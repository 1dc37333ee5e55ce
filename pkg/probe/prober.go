// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// stall is how late a timer may be until the process counts as not having run.
const stall = 250 * time.Millisecond

// Target is a hop to measure.
type Target struct {
	translate.HopKey
	Bounds Bounds
	// Warm says that the hop's policy keeps connections open over the tunnel that comes next (WANPolicy.spec.standby).
	Warm bool
	// Found is what was known of the hop before (NewTrack); only a hop that is not followed yet takes it.
	Found Report
}

// Prober measures hops. Make one with New, say which hops with Set, and run it with Start.
type Prober struct {
	dial    Dial
	changed func()

	mu      sync.Mutex
	ctx     context.Context // nil until Start, and its end ends all
	targets map[translate.HopKey]*followed
	wg      sync.WaitGroup
}

// followed is one hop that is measured.
type followed struct {
	mu    sync.Mutex
	track *Track
	stop  context.CancelFunc // nil until it is measured
}

// New makes a prober. changed is called, from any goroutine, after the state of a hop has changed; it must not block.
func New(dial Dial, changed func()) *Prober {
	return &Prober{dial: dial, changed: changed, targets: map[translate.HopKey]*followed{}}
}

// Start measures until ctx ends.
func (p *Prober) Start(ctx context.Context) error {
	p.mu.Lock()
	p.ctx = ctx
	for key, f := range p.targets {
		p.run(key, f)
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.wg.Wait()
	return nil
}

// Set measures these hops and no others. Those that are measured already go on with what is known of them.
func (p *Prober) Set(targets []Target) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[translate.HopKey]bool{}
	for _, t := range targets {
		wanted[t.HopKey] = true
		if f := p.targets[t.HopKey]; f != nil {
			f.mu.Lock()
			f.track.SetBounds(t.Bounds)
			f.track.warm = t.Warm
			f.mu.Unlock()
			continue
		}
		f := &followed{track: NewTrack(t.Bounds, t.Found, now)}
		f.track.warm = t.Warm
		p.targets[t.HopKey] = f
		p.run(t.HopKey, f)
	}
	for key, f := range p.targets {
		if !wanted[key] {
			if f.stop != nil {
				f.stop()
			}
			delete(p.targets, key)
		}
	}
}

// run starts measuring a hop once the prober runs. The caller holds the lock.
func (p *Prober) run(key translate.HopKey, f *followed) {
	if p.ctx == nil || p.ctx.Err() != nil || f.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(p.ctx)
	f.stop = cancel
	p.wg.Go(func() { p.follow(ctx, key, f) })
}

// Reports tells what is known of every hop, in the order of cluster, policy, address and port.
func (p *Prober) Reports() []Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, out := time.Now(), make([]Report, 0, len(p.targets))
	for key, f := range p.targets {
		f.mu.Lock()
		out = append(out, f.track.Report(key, now))
		f.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Report) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Policy, b.Policy),
			cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
	return out
}

// follow measures one hop until ctx ends. The first handshake comes at a random moment of the interval.
func (p *Prober) follow(ctx context.Context, key translate.HopKey, f *followed) {
	results := make(chan Result)
	timer := time.NewTimer(rand.N(Interval))
	defer timer.Stop()
	due := time.Now().Add(Interval)
	for {
		var result *Result
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case r := <-results:
			result = &r
		}
		send, changed := false, false
		send, changed, due = f.step(time.Now(), due, result)
		if send {
			p.wg.Go(func() {
				select {
				case results <- p.dial(ctx, key):
				case <-ctx.Done():
				}
			})
		}
		if changed {
			p.changed()
		}
		timer.Reset(time.Until(due))
	}
}

// step takes what happened and says what to do: whether to start a handshake, and when to come again.
func (f *followed) step(now, due time.Time, result *Result) (send, changed bool, next time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, broken := f.track.state, f.track.broken >= brokenAfter
	if now.Sub(due) > stall {
		f.track.Stalled(now)
	}
	if result != nil {
		f.track.Done(now, *result)
	}
	if send = f.track.ShouldSend(now); send {
		f.track.Sent(now, rand.Float64())
	}
	f.track.Look(now)
	changed = before != f.track.state || broken != (f.track.broken >= brokenAfter)
	return send, changed, f.track.Due(now)
}
