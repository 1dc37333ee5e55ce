// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"time"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// brownoutLatency is a delay each way that is beyond the high policy's service level, and that no connection dies of: what
	// is sent when it sets in is acknowledged before TCP_USER_TIMEOUT (docs/failover.md), on a busy machine too.
	brownoutLatency = "150ms"
	// settledAfter is when everybody knows that a tunnel is black. Nothing is sent into it from then on, but a few packets of
	// connections that end.
	settledAfter    = 10 * time.Second
	fewPacketsBytes = 20 * packetBytes
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
	ctx, cancel := context.WithTimeout(ctx, 5*patience)
	defer cancel()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	// A tunnel that was let back lately, because an earlier test or a busy machine slowed it down, stays away for minutes the
	// next time; a controller that has just started knows of none of that.
	if err := e.Consumer.Restart(ctx, mcw.Namespace, "mcw-controller"); err != nil {
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
	if err := e.saysLoadIsOn(ctx, high, high+" is up"); err != nil {
		return err
	}
	if err := e.WAN.SetLatency(ctx, high, brownoutLatency); err != nil {
		return err
	}
	if err := e.saysLoadIsOn(ctx, wayLow().Tunnel, high+" has a latency of "+brownoutLatency); err != nil {
		return err
	}
	if err := Eventually(ctx, patience, "the prober says that it is degraded", func(ctx context.Context) error {
		return e.hopsOf(ctx, "sd-wan-priority-high", mcw.HopDegraded)
	}); err != nil {
		return err
	}
	if err := e.WAN.Heal(ctx); err != nil {
		return err
	}
	return e.saysLoadIsOn(ctx, high, high+" is well again")
}

// staysBlackStep starts the load when everybody knows that the tunnel is black: what is slow then was used to test it.
func staysBlackStep(ctx context.Context, e *Env) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*patience)
	defer cancel()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
	first, err := c.underLoad(ctx, func(ctx context.Context) error {
		if err := e.saysLoadIsOn(ctx, wayHigh().Tunnel, wayHigh().Tunnel+" is up"); err != nil {
			return err
		}
		return errors.Join(e.WAN.SetState(ctx, wayHigh().Tunnel, "blackhole"), Pause(ctx, settledAfter))
	})
	if err != nil {
		return err
	}
	e.Say("until %s after the tunnel went black: %s", settledAfter, first)
	var second *LoadReport
	used, err := e.used(ctx, func(ctx context.Context) (err error) {
		second, err = c.underLoad(ctx, func(ctx context.Context) error { return Pause(ctx, staysBlack) })
		return err
	})
	if err != nil {
		return err
	}
	e.Say("the next %s: %s; counted: %s", staysBlack, second, used)
	if offered := used[wayHigh()].offered(); offered > fewPacketsBytes {
		return fmt.Errorf("requests were used to test the tunnel while it stayed black: up to %d bytes were sent into it (%s)", offered, used)
	}
	return nil
}
