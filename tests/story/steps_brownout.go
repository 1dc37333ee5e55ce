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
	report, err := c.underLoad(ctx, e.slowAndHeal)
	if err != nil {
		return err
	}
	e.Say("client in %s, GET %s all the while: %s", NamespacePlain, PaymentURL, report)
	return nil
}

func (e *Env) slowAndHeal(ctx context.Context) error {
	high := wayHigh().Tunnel
	if _, err := e.saysLoadIsOn(ctx, high, high+" is up"); err != nil {
		return err
	}
	if err := e.WAN.SetLatency(ctx, high, brownoutLatency); err != nil {
		return err
	}
	took, err := e.saysLoadIsOn(ctx, wayLow().Tunnel, high+" has a latency of "+brownoutLatency)
	if err != nil {
		return err
	}
	if took > movesWithin {
		return fmt.Errorf("traffic moved after %s, want %s at most", took, movesWithin)
	}
	if err := e.WAN.Heal(ctx); err != nil {
		return err
	}
	_, err = e.saysLoadIsOn(ctx, high, high+" is well again")
	return err
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
	first, err := c.underLoad(ctx, func(ctx context.Context) error {
		if _, err := e.saysLoadIsOn(ctx, wayHigh().Tunnel, wayHigh().Tunnel+" is up"); err != nil {
			return err
		}
		return errors.Join(e.WAN.SetState(ctx, wayHigh().Tunnel, "blackhole"), Pause(ctx, settledAfter))
	})
	if err != nil {
		return err
	}
	e.Say("until %s after the tunnel went black: %s", settledAfter, first)
	second, err := c.underLoad(ctx, func(ctx context.Context) error { return Pause(ctx, staysBlack) })
	if err != nil {
		return err
	}
	e.Say("the next %s: %s", staysBlack, second)
	if second.Slowest > slowestWhileBlack {
		return fmt.Errorf("the slowest request took %s while the tunnel stayed black, want %s at most", second.Slowest, slowestWhileBlack)
	}
	return nil
}
