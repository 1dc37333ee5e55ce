// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// brownoutLatency is three times what the high policy's service level allows.
	brownoutLatency = "300ms"
	// movesWithin is how long traffic may stay on a tunnel that breaks its service level.
	movesWithin = 10 * time.Second
	// settledAfter is when everybody knows that a tunnel is black. A request that is used to test it from then on takes as
	// long as Envoy or the kernel wait, half a second at least, see docs/failover.md; others take what a busy machine makes
	// of a round trip.
	settledAfter      = 10 * time.Second
	slowestWhileBlack = 450 * time.Millisecond
	// staysBlack is how long the tunnel is watched after that: several of Envoy's own ejection times.
	staysBlack = 40 * time.Second
)

// Brownout lets the high-priority tunnel break its service level without breaking, and keeps it black for long.
func Brownout() []Step {
	return []Step{
		{Name: "brownout", Title: "The business tunnel gets slow, at 100 requests/s", NeedsWAN: true, Run: brownout},
		{Name: "stays-black", Title: "The business tunnel stays black: no request is used to test it", NeedsWAN: true, Run: staysBlackStep},
	}
}

func brownout(ctx context.Context, e *Env) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
	report, err := c.underLoad(ctx, PaymentURL, 100, e.slowAndHeal)
	if err != nil {
		return err
	}
	e.Say("GET: %s", report)
	return nil
}

func (e *Env) slowAndHeal(ctx context.Context) error {
	if err := e.loadIsOn(ctx, tunnelHigh); err != nil {
		return err
	}
	if err := e.WAN.SetLatency(ctx, tunnelHigh, brownoutLatency); err != nil {
		return err
	}
	start := time.Now()
	e.Say("%s has a latency of %s", tunnelHigh, brownoutLatency)
	if err := e.loadLeaves(ctx, tunnelHigh, tunnelLow); err != nil {
		return err
	}
	took := time.Since(start)
	e.Say("traffic is on %s after %s", tunnelLow, took.Round(100*time.Millisecond))
	if took > movesWithin {
		return fmt.Errorf("traffic moved after %s, want %s at most", took, movesWithin)
	}
	if err := e.WAN.Heal(ctx); err != nil {
		return err
	}
	start = time.Now()
	if err := e.loadLeaves(ctx, tunnelLow, tunnelHigh); err != nil {
		return err
	}
	e.Say("traffic is back on %s %s after it is well again", tunnelHigh, time.Since(start).Round(100*time.Millisecond))
	return nil
}

// loadLeaves waits until, for a while, one tunnel carries the load and another one next to nothing of it.
func (e *Env) loadLeaves(ctx context.Context, from, to string) error {
	return Eventually(ctx, 2*time.Minute, "traffic on tunnel "+to+" and not on "+from, func(ctx context.Context) error {
		used, err := e.bytesByTunnel(ctx, func(ctx context.Context) error { return Pause(ctx, time.Second) })
		if err != nil {
			return err
		}
		if used[to] < 4*used[from] || used[to] < movedBytes/4 {
			return fmt.Errorf("in the last second: %s", used)
		}
		return nil
	})
}

// staysBlackStep starts the load when everybody knows that the tunnel is black: what is slow then was used to test it.
func staysBlackStep(ctx context.Context, e *Env) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
	first, err := c.underLoad(ctx, PaymentURL, 100, func(ctx context.Context) error {
		return errors.Join(e.loadIsOn(ctx, tunnelHigh), e.WAN.SetState(ctx, tunnelHigh, "blackhole"), Pause(ctx, settledAfter))
	})
	if err != nil {
		return err
	}
	e.Say("until %s after the tunnel went black: %s", settledAfter, first)
	second, err := c.underLoad(ctx, PaymentURL, 100, func(ctx context.Context) error { return Pause(ctx, staysBlack) })
	if err != nil {
		return err
	}
	e.Say("the next %s: %s", staysBlack, second)
	if second.Slowest > slowestWhileBlack {
		return fmt.Errorf("the slowest request took %s while the tunnel stayed black, want %s at most", second.Slowest, slowestWhileBlack)
	}
	return nil
}
