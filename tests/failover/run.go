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

// Play plays a case: all protocols at once, and the same the plain way where plain says how to call it. When the report of
// what happened gets lost on its way, and only then, it plays once more.
func (b *Bench) Play(ctx context.Context, c Case, t Timing, protocols []result.Protocol, plain string) (*result.Played, error) {
	played, err := b.play(ctx, c, t, protocols, plain)
	if errors.Is(err, errCut) {
		b.Say("%v; once more", err)
		played, err = b.play(ctx, c, t, protocols, plain)
	}
	return played, err
}

func (b *Bench) play(ctx context.Context, c Case, t Timing, protocols []result.Protocol, plain string) (played *result.Played, err error) {
	if c.Prepare != nil {
		if err := c.Prepare(ctx, b); err != nil {
			return nil, fmt.Errorf("%s: preparing: %w", c.Name, err)
		}
	}
	if c.Restore != nil {
		defer func() { err = errors.Join(err, c.Restore(context.WithoutCancel(ctx), b)) }()
	}
	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("%s: before it broke: %w", c.Name, err)
	}
	if plain != "" {
		if err := b.plainAnew(ctx); err != nil {
			return nil, fmt.Errorf("%s: the plain way: %w", c.Name, err)
		}
	}
	if err := quiet(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	t.Broken, t.After = max(t.Broken, c.Broken), max(t.After, c.After)
	played = &result.Played{Name: c.Name, Title: c.Title, End: t.length()}
	start := time.Now()
	tcp := b.watchTCP(ctx, start)
	loads := b.start(ctx, t, protocols, plain, start)
	breakErr := b.breakAndHeal(ctx, c, t, played, start)
	results, loadErr := loads()
	tunnels := tcp()
	if err := errors.Join(breakErr, loadErr); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
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
	return played, nil
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
func (b *Bench) start(ctx context.Context, t Timing, protocols []result.Protocol, plain string, start time.Time) func() ([]sent, error) {
	hosts := []string{serviceHost}
	if plain != "" {
		hosts = append(hosts, plain)
	}
	out, errs := make([]sent, len(hosts)*len(protocols)), make([]error, len(hosts)*len(protocols))
	var wg sync.WaitGroup
	for i, host := range hosts {
		for j, p := range protocols {
			k := i*len(protocols) + j
			wg.Go(func() {
				requests, err := b.send(ctx, p, host, t.rate(p), t.length(), start)
				out[k], errs[k] = sent{protocol: p, plain: i > 0, requests: requests}, err
			})
		}
	}
	return func() ([]sent, error) {
		wg.Wait()
		return out, errors.Join(errs...)
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
