// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
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
	if err := b.ready(ctx); err != nil {
		return nil, false, fmt.Errorf("%s: before it broke: %w", c.Name, err)
	}
	if l.PlainHost != "" {
		if err := b.plainAnew(ctx); err != nil {
			return nil, false, fmt.Errorf("%s: the plain way: %w", c.Name, err)
		}
	}
	if l.Idle {
		if err := quiet(ctx); err != nil {
			return nil, false, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	l.Broken, l.After = max(l.Broken, c.Broken), max(l.After, c.After)
	played = &result.Played{Name: c.Name, Title: c.Title, End: l.length()}
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
		if r.protocol == result.TCP {
			for i := range r.requests {
				r.requests[i].Tunnel = tunnels.at(r.plain, r.requests[i].Sent+r.requests[i].Took)
			}
		}
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
	err := c.Break(while, b)
	<-while.Done()
	healErr := c.Heal(context.WithoutCancel(ctx), b)
	played.Healed = time.Since(start)
	return errors.Join(err, healErr, ctx.Err())
}

// sent is what one load generator has to tell.
type sent struct {
	protocol result.Protocol
	plain    bool
	requests []result.Request
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

// timeline says over which tunnel new TCP connections went at which time: ours, and the plain way's.
type timeline []struct {
	until       time.Duration
	ours, plain string
}

func (t timeline) at(plain bool, when time.Duration) string {
	for _, e := range t {
		switch {
		case when > e.until:
		case plain:
			return e.plain
		default:
			return e.ours
		}
	}
	return ""
}

// watchTCP counts new connections of the consumer's egress gateways by tunnel, half a second at a time: nearly all are
// those of TCP clients, since HTTP shares connections.
func (b *Bench) watchTCP(ctx context.Context, start time.Time) func() timeline {
	ctx, cancel := context.WithCancel(ctx)
	var out timeline
	done := make(chan struct{})
	go func() {
		defer close(done)
		var before story.Counters
		var ours, plain []string
		for story.Pause(ctx, 500*time.Millisecond) == nil {
			b.refresh(ctx, &ours, client.MatchingLabels{mcw.LabelGateway: mcw.GatewayEgress})
			b.refresh(ctx, &plain, client.MatchingLabels{"app": plainName})
			now, err := b.WAN.Counters(ctx)
			if err != nil {
				continue // the next look is soon
			}
			if before != nil {
				since := now.Since(before)
				out = append(out, struct {
					until       time.Duration
					ours, plain string
				}{time.Since(start), tunnelOfMost(since, ours), tunnelOfMost(since, plain)})
			}
			before = now
		}
	}()
	return func() timeline { cancel(); <-done; return out }
}

// refresh sets addresses to those of the ready pods; they stay what they are while the API server does not answer.
func (b *Bench) refresh(ctx context.Context, addresses *[]string, labels client.MatchingLabels) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	pods, err := b.Consumer.ReadyPods(ctx, "mc-wan", labels)
	if err != nil {
		return
	}
	*addresses = nil
	for _, p := range pods {
		*addresses = append(*addresses, p.Status.PodIP)
	}
}

// tunnelOfMost is the tunnel of most new connections from some addresses.
func tunnelOfMost(counted story.Counters, sources []string) string {
	counts := map[string]int{}
	for _, f := range counted {
		if slices.Contains(sources, f.Source) {
			counts[f.Tunnel] += int(f.Connections)
		}
	}
	return result.Commonest(counts)
}
