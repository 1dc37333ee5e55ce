// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Failover breaks the high-priority tunnel under load.
func Failover() []Step {
	return []Step{
		{Name: "refused-then-black", Title: "The business tunnel refuses connections, later it swallows every packet, at 100 requests/s", NeedsWAN: true, Run: breakTunnel("refused", "blackhole")},
	}
}

// FailoverBlack has the tunnel die without a word while it carries the load. The demo leaves it out: a tunnel that
// breaks again and again is let back later and later.
func FailoverBlack() []Step {
	return []Step{
		{Name: "blackhole", Title: "The business tunnel swallows every packet from one moment to the next, at 100 requests/s", NeedsWAN: true, Run: breakTunnel("blackhole")},
	}
}

// breaks is what the states of a tunnel mean to those who use it.
func breaks(state string) string {
	switch state {
	case "refused":
		return "refuses connections"
	case "blackhole":
		return "swallows every packet"
	}
	return "is " + state
}

func breakTunnel(states ...string) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) (err error) {
		ctx, cancel := context.WithTimeout(ctx, 5*patience)
		defer cancel()
		c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
		report, err := c.underLoad(ctx, func(ctx context.Context) error { return e.breakAndHeal(ctx, states) })
		if err != nil {
			return err
		}
		e.Say("client in %s, GET %s all the while: %s", NamespacePlain, PaymentURL, report)
		return nil
	}
}

func (e *Env) breakAndHeal(ctx context.Context, states []string) error {
	high := wayHigh().Tunnel
	if err := e.saysLoadIsOn(ctx, high, high+" is up"); err != nil {
		return err
	}
	for _, state := range states {
		if err := e.WAN.SetState(ctx, high, state); err != nil {
			return err
		}
		if err := e.saysLoadIsOn(ctx, wayLow().Tunnel, high+" "+breaks(state)); err != nil {
			return err
		}
		if err := Pause(ctx, staysBroken); err != nil {
			return err
		}
	}
	if err := e.WAN.SetState(ctx, high, "up"); err != nil {
		return err
	}
	return e.saysLoadIsOn(ctx, high, high+" is up again")
}

// saysLoadIsOn waits until a tunnel carries the load, and says what the counters show then and how long it took.
func (e *Env) saysLoadIsOn(ctx context.Context, tunnel, when string) error {
	start := time.Now()
	used, err := e.loadIsOn(ctx, tunnel)
	if err != nil {
		return err
	}
	took := max(0, time.Since(start)-loadWindow).Round(100 * time.Millisecond)
	e.Say("%s: the requests are on %s within %s; counted in the %s after that: %s", when, tunnel, took, loadWindow, used)
	return nil
}

const (
	// moveTime is how long traffic may take to move: a tunnel that died several times in a row is let back after a minute.
	moveTime = patience
	// loadWindow is how long the counters are watched to tell where the load is; movedBytes is how much a tunnel must carry
	// meanwhile, which is far more than keepalives and the feed do, and less than half of 50 requests/s.
	loadWindow = time.Second
	movedBytes = 32 << 10
	// staysBroken is how long a tunnel stays broken after the load has left it: one that swallows packets for a second only
	// is not dead to the prober but lossy, and a broken service level keeps traffic away for longer than a death does.
	staysBroken = 4 * time.Second
)

// loadIsOn waits until, for a while, one tunnel carries the load and the others next to nothing of it.
func (e *Env) loadIsOn(ctx context.Context, tunnel string) (usage, error) {
	var used usage
	err := Eventually(ctx, moveTime, "traffic on tunnel "+tunnel, func(ctx context.Context) (err error) {
		if used, err = e.used(ctx, func(ctx context.Context) error { return Pause(ctx, loadWindow) }); err != nil {
			return err
		}
		if on := used.on(tunnel); on < movedBytes || on < 8*used.others(tunnel) {
			return fmt.Errorf("in the last %s: %s", loadWindow, used)
		}
		return nil
	})
	return used, err
}
