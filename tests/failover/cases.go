// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"syscall"
	"time"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

// action changes something of the bench.
type action func(ctx context.Context, b *Bench) error

// Case is one way to break. Break and Heal return when what they do is under way.
type Case struct {
	Name, Title string
	Break, Heal action
	// First is what breaks five seconds before Break does: what should notice it. nil for nothing.
	First action
	// Ways are those between clusters that break, which traffic is to leave; nil for none.
	Ways func(*Bench) []result.Way
	// Prepare is done before the load starts, and Restore after it has ended; nil for nothing.
	Prepare, Restore action
	// Clusters is how many exporters it needs; 0 is one.
	Clusters int
	// Broken is how long it is broken at least, for what happens now and then only. After is how long it is looked at at least
	// after it healed: what broke a service level comes back later.
	Broken, After time.Duration
}

// Cases are all cases, in the order of the report.
func Cases() []Case {
	return append(tunnelCases(), append(clusterCases(), ownCases()...)...)
}

func tunnelCases() []Case {
	business := func(name, title string, settings ...string) Case {
		return Case{Name: name, Title: title, Ways: firstTunnel, Break: wan(append([]string{tunnelFirst}, settings...)...), Heal: calm}
	}
	brownout := func(after time.Duration, name, title string, settings ...string) Case {
		c := business(name, title, settings...)
		c.After, c.Prepare = after, forgotten
		return c
	}
	const soon, afterLoss = 30 * time.Second, 50 * time.Second // losses are counted over 30 s
	return []Case{
		business("refused", "The tunnel refuses connections", "--state=refused"),
		business("blackhole", "The tunnel swallows every packet", "--state=blackhole"),
		brownout(afterLoss, "loss-2", "The tunnel loses 2 % of packets each way", "--loss=2%"),
		brownout(afterLoss, "loss-5", "The tunnel loses 5 % of packets each way", "--loss=5%"),
		brownout(afterLoss, "loss-30", "The tunnel loses 30 % of packets each way", "--loss=30%"),
		brownout(soon, "latency", "The tunnel's round trip is 400 ms", "--latency=200ms"),
		brownout(soon, "jitter", "The tunnel's delay wanders between 20 and 320 ms each way", "--jitter=300ms"),
		{
			Name: "oscillating", Title: "The tunnel's round trip is 40 and 160 ms in turn, 20 s each, around its bound of 100 ms",
			Ways: firstTunnel, Broken: 5 * time.Minute,
			Break: inTurns(turn{"--latency=80ms", 20 * time.Second}, turn{"--latency=20ms", 20 * time.Second}), Heal: calm, Prepare: forgotten,
		},
		{
			Name: "flapping", Title: "The tunnel is black for 3 s of every 10 s", Ways: firstTunnel,
			Break: inTurns(turn{"--state=blackhole", 3 * time.Second}, turn{"--state=up", 7 * time.Second}), Heal: calm,
		},
		{
			Name: "one-way", Title: "The tunnel swallows what comes back from an exporter", Ways: firstTunnelToVictim,
			Break: func(ctx context.Context, b *Bench) error {
				return b.WAN.Set(ctx, tunnelFirst, "--from="+b.victim().Name, "--to="+b.Consumer.Name, "--state=blackhole")
			},
			Heal: calm,
		},
		brownout(afterLoss, "rate", "The tunnel carries 200 kbit/s, less than the load", "--rate=200kbit"),
	}
}

// podsReturn is how long it is looked at what has pods start again: healing waits for them, which takes a part of that.
const podsReturn = 45 * time.Second

func clusterCases() []Case {
	return []Case{
		{
			Name: "cluster-gone", Title: "An exporting cluster disappears: nothing comes from it or reaches it", Clusters: 2, Ways: toVictim,
			Break: func(ctx context.Context, b *Bench) error {
				if err := b.WAN.Set(ctx, "*", "--from="+b.victim().Name, "--state=blackhole"); err != nil {
					return err
				}
				return b.WAN.Set(ctx, "*", "--to="+b.victim().Name, "--state=blackhole")
			},
			Heal: calm,
		},
		{
			Name: "isolated", Title: "The calling cluster is cut off from all others, and exports the service too",
			Prepare: exportHere, Restore: unexportHere, Ways: toExporters,
			Break: func(ctx context.Context, b *Bench) error {
				if err := b.WAN.Set(ctx, "*", "--from="+b.Consumer.Name, "--state=blackhole"); err != nil {
					return err
				}
				return b.WAN.Set(ctx, "*", "--to="+b.Consumer.Name, "--state=blackhole")
			},
			Heal: calm,
		},
		{Name: "api-gone", Title: "An exporting cluster's control plane hangs", Break: signalAPI((*Bench).victim, syscall.SIGSTOP), Heal: signalAPI((*Bench).victim, syscall.SIGCONT)},
		{
			Name: "gateway-gone", Title: "An exporting cluster loses all ingress gateways at once", Clusters: 2, Ways: toVictim,
			Break: killed("mc-wan", "mcw-ingress"), Heal: scaledBack("mc-wan", "mcw-ingress"), After: podsReturn,
		},
		{
			Name: "backends-gone", Title: "An exporting cluster loses all backends at once", Clusters: 2, Ways: toVictim,
			Break: killed(Namespace, serviceName), Heal: scaledBack(Namespace, serviceName), After: podsReturn,
		},
		{
			Name: "drained", Title: "The operator drains an exporting cluster", Clusters: 2, Ways: toVictim,
			Break: drained("*"), Heal: drained(),
		},
		{
			Name: "drained-tunnel", Title: "The operator drains the policy's tunnel", Ways: firstTunnel,
			Break: drainedTunnel(true), Heal: drainedTunnel(false),
		},
	}
}

// refused has the first tunnel refuse connections.
func refused(ctx context.Context, b *Bench) error {
	return b.WAN.Set(ctx, tunnelFirst, "--state=refused")
}

func ownCases() []Case {
	return append(blindCases(), changeCases()...)
}

// blindCases break what should notice that a tunnel breaks, and then the tunnel.
func blindCases() []Case {
	return []Case{
		{
			Name: "controller-gone", Title: "The consumer's controllers are killed, and 5 s later the tunnel refuses", Ways: firstTunnel,
			First: func(ctx context.Context, b *Bench) error { return kill(ctx, b.Consumer, "mc-wan", "mcw-controller") },
			Break: refused,
			Heal: func(ctx context.Context, b *Bench) error {
				if err := b.calm(ctx); err != nil {
					return err
				}
				return scaleBack(ctx, b.Consumer, "mc-wan", "mcw-controller")
			},
			After: podsReturn,
		},
		{
			Name: "partitioned", Title: "The consumer's control plane hangs, and 5 s later the tunnel refuses", Ways: firstTunnel,
			First: signalAPI((*Bench).consumer, syscall.SIGSTOP), Break: refused,
			Heal: inTurn(signalAPI((*Bench).consumer, syscall.SIGCONT), calm),
		},
		{
			Name: "probe-broken", Title: "Nothing answers the consumer's prober, and 5 s after its verdicts are in doubt the tunnel refuses", Ways: firstTunnel,
			First: deafenProber, Break: refused, Heal: inTurn(hearingProber, calm), Broken: 45 * time.Second,
		},
		{
			Name: "upgrade", Title: "The consumer's controller is replaced as by an upgrade, and 5 s later the tunnel refuses", Ways: firstTunnel,
			First: func(ctx context.Context, b *Bench) error { return restart(ctx, b.Consumer, "mcw-controller") }, Break: refused, Heal: calm,
			Broken: 90 * time.Second, // its successor has to be ready first
		},
	}
}

// forgets is more than the 30 s (--leave-linger) for which an exporter lets in whom it has left.
const forgets = 45 * time.Second

// changeCases are what operators do, but for drains.
func changeCases() []Case {
	return []Case{
		{
			Name: "rotation", Title: "The gateways' certificates are renewed every half minute",
			Prepare: certificatesLast("60s"), Break: nothing, Heal: nothing, Restore: certificatesLast(""), Broken: 45 * time.Second,
		},
		{
			Name: "roll", Title: "All gateways on the way are rolled, one after the other", Break: rollGateways, Heal: nothing,
			Broken: 2 * time.Minute, // four pods, each until its successor is ready
		},
		{
			Name: "unexport", Title: "An exporting cluster takes its export back", Clusters: 2, Ways: toVictim,
			Break: func(ctx context.Context, b *Bench) error { return b.unexport(ctx, b.victim()) },
			Heal:  func(ctx context.Context, b *Bench) error { return b.export(ctx, b.victim()) },
		},
		{
			Name: "leave", Title: "The consumer leaves an exporting cluster, and joins it again", Clusters: 2, Ways: toVictim,
			Break: leaves((*Bench).consumer, (*Bench).victim), Heal: joinsAgain((*Bench).consumer),
		},
		{
			Name: "left", Title: "An exporting cluster leaves the consumer, and joins it again", Clusters: 2, Ways: toVictim,
			Break: leaves((*Bench).victim, (*Bench).consumer), Heal: joinsAgain((*Bench).victim),
			Broken: forgets, After: 20 * time.Second, // the consumer asks again after ten at most
		},
		{
			Name: "order", Title: "The tunnel refuses, and 5 s later the policy's order of the others is changed", Ways: firstTunnel,
			Break: inTurn(refused, failsOver(mcw.Failover{Mode: mcw.FailoverOrdered, To: []string{policyThird, policySecond}})),
			Heal: func(ctx context.Context, b *Bench) error {
				if err := b.calm(ctx); err != nil {
					return err
				}
				return failsOver(mcw.Failover{Mode: mcw.FailoverAutomatic})(ctx, b)
			},
		},
		{Name: "port", Title: "The policy's port is changed at the exporter", Break: movePort(portFirst + portStep), Heal: movePort(portFirst)},
	}
}

// afterwards is how much later the second of two things is done.
const afterwards = 5 * time.Second

// inTurn does one thing, and the next somewhat later.
func inTurn(actions ...action) action {
	return func(ctx context.Context, b *Bench) error {
		for i, do := range actions {
			if i > 0 {
				if err := story.Pause(ctx, afterwards); err != nil {
					return err
				}
			}
			if err := do(ctx, b); err != nil {
				return err
			}
		}
		return nil
	}
}

func firstTunnel(*Bench) []result.Way { return []result.Way{{Tunnel: tunnelFirst}} }

func toVictim(b *Bench) []result.Way { return []result.Way{{Cluster: b.victim().Name}} }

func firstTunnelToVictim(b *Bench) []result.Way {
	return []result.Way{{Tunnel: tunnelFirst, Cluster: b.victim().Name}}
}

func toExporters(b *Bench) []result.Way {
	var out []result.Way
	for _, c := range b.Exporters {
		out = append(out, result.Way{Cluster: c.Name})
	}
	return out
}

func calm(ctx context.Context, b *Bench) error { return b.calm(ctx) }

// forgotten restarts the controllers once every hop is healthy: how soon a tunnel is back is damped by its earlier falls,
// of which they know nothing then.
func forgotten(ctx context.Context, b *Bench) error {
	if err := b.allWell(ctx); err != nil {
		return err
	}
	return restart(ctx, b.Consumer, "mcw-controller")
}

func nothing(context.Context, *Bench) error { return nil }

func wan(args ...string) action {
	return func(ctx context.Context, b *Bench) error { return b.WAN.Set(ctx, args[0], args[1:]...) }
}

// turn is how a tunnel is set for a time.
type turn struct {
	setting string
	lasts   time.Duration
}

// inTurns sets the first tunnel one way after the other, until its context ends, which is when the case heals.
func inTurns(turns ...turn) action {
	return func(ctx context.Context, b *Bench) error {
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				now := turns[i%len(turns)]
				// The first that fails is the end of the case's time.
				if b.WAN.Set(ctx, tunnelFirst, now.setting) != nil || story.Pause(ctx, now.lasts) != nil {
					return
				}
			}
		}()
		return nil
	}
}

// CaseNamed finds a case; one that does not exist is a mistake of the caller.
func CaseNamed(name string) Case {
	for _, c := range Cases() {
		if c.Name == name {
			return c
		}
	}
	panic("no case " + name)
}
