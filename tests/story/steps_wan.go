// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The tunnels of the story's policies.
const (
	tunnelHigh = "business"
	tunnelLow  = "default"
	portHigh   = 31111
)

// fill makes requests large, so that the counters tell them from keepalives and the feed.
const (
	fillBytes    = 8 << 10
	fillRequests = 20
)

// provePaymentTunnel sends large requests and looks where their bytes went.
func provePaymentTunnel(ctx context.Context, e *Env) error {
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		used, err := e.bytesByTunnel(ctx, func(ctx context.Context) error {
			_, err := c.Run(ctx, "sh", "-c", fmt.Sprintf(
				`fill=$(head -c %d /dev/zero | tr '\0' x); for i in $(seq %d); do curl -sS --fail-with-body --max-time 10 -o /dev/null -H "x-fill: $fill" %s || exit 1; done`,
				fillBytes, fillRequests, PaymentURL))
			return err
		})
		if err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
		if err := onlyOn(used, tunnelHigh); err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
		e.Say("client in %s: %d requests of %d KiB: %s", ns, fillRequests, fillBytes>>10, used)
	}
	return nil
}

// usage is bytes from the consumer's egress gateways to the exporter's ingress gateways, by tunnel.
type usage map[string]uint64

func (u usage) String() string {
	var parts []string
	for _, t := range slices.Sorted(maps.Keys(u)) {
		parts = append(parts, fmt.Sprintf("%s %d KiB", t, u[t]>>10))
	}
	return strings.Join(parts, ", ")
}

// onlyOn says whether the large requests went over the tunnel and no other: less than one request's bytes elsewhere
// (the feed and keepalives cross the default policy's tunnel all the time).
func onlyOn(u usage, tunnel string) error {
	// HTTP/2 packs header values into at least 5/8 of their length (RFC 7541, appendix B).
	if sent := uint64(fillBytes * fillRequests); u[tunnel] < sent*5/8 {
		return fmt.Errorf("tunnel %s carried %d bytes of %d sent (%s)", tunnel, u[tunnel], sent, u)
	}
	for t, n := range u {
		if t != tunnel && n >= fillBytes*fillRequests/4 {
			return fmt.Errorf("tunnel %s carried %d bytes; all requests belong on %s (%s)", t, n, tunnel, u)
		}
	}
	return nil
}

// bytesByTunnel runs do and returns what the gateways exchanged meanwhile.
func (e *Env) bytesByTunnel(ctx context.Context, do func(context.Context) error) (usage, error) {
	sources, err := e.Consumer.GatewayAddresses(ctx, "egress")
	if err != nil {
		return nil, err
	}
	before, err := e.WAN.Counters(ctx)
	if err != nil {
		return nil, err
	}
	if err := do(ctx); err != nil {
		return nil, err
	}
	after, err := e.WAN.Counters(ctx)
	if err != nil {
		return nil, err
	}
	return bytesFrom(after.Since(before), sources), nil
}

func bytesFrom(flows Counters, sources []string) usage {
	u := usage{}
	for _, f := range flows {
		if slices.Contains(sources, f.Source) {
			u[f.Tunnel] += f.Bytes
		}
	}
	return u
}

// GatewayAddresses are those of the ready pods of the egress or ingress gateway, of all address families.
func (c *Cluster) GatewayAddresses(ctx context.Context, gateway string) ([]string, error) {
	pods, err := c.ReadyPods(ctx, "mc-wan", client.MatchingLabels{"mcw.l7mp.io/gateway": gateway})
	if err != nil {
		return nil, err
	}
	var ips []string
	for _, p := range pods {
		for _, ip := range p.Status.PodIPs {
			ips = append(ips, ip.IP)
		}
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("no ready %s gateway in %s", gateway, c.Name)
	}
	return ips, nil
}

// Failover breaks the high-priority tunnel under load, in the ways that tunnels break.
func Failover() []Step {
	return []Step{
		{Name: "refused", Title: "The business tunnel refuses connections, at 100 requests/s", NeedsWAN: true, Run: breakTunnel("refused")},
		{Name: "blackhole", Title: "The business tunnel swallows every packet, at 100 requests/s", NeedsWAN: true, Run: breakTunnel("blackhole")},
	}
}

// movedBytes is how much a tunnel must carry before the load counts as being on it: far more than keepalives do.
const movedBytes = 64 << 10

func breakTunnel(state string) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) (err error) {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
		defer cancel()
		c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
		report, err := c.underLoad(ctx, PaymentURL, 100, func(ctx context.Context) error { return e.breakAndHeal(ctx, state) })
		if err != nil {
			return err
		}
		e.Say("GET: %s", report)
		return nil
	}
}

func (e *Env) breakAndHeal(ctx context.Context, state string) error {
	if err := e.loadIsOn(ctx, tunnelHigh); err != nil {
		return err
	}
	if err := e.WAN.SetState(ctx, tunnelHigh, state); err != nil {
		return err
	}
	e.Say("%s is %s", tunnelHigh, state)
	if err := e.loadIsOn(ctx, tunnelLow); err != nil {
		return err
	}
	e.Say("traffic is on %s", tunnelLow)
	if err := e.WAN.SetState(ctx, tunnelHigh, "up"); err != nil {
		return err
	}
	e.Say("%s is up again", tunnelHigh)
	if err := e.loadIsOn(ctx, tunnelHigh); err != nil {
		return err
	}
	e.Say("traffic is back on %s", tunnelHigh)
	return nil
}

// moveTime is how long traffic may take to move: a tunnel that died several times in a row is let back after a minute.
const moveTime = 90 * time.Second

// loadIsOn waits until a tunnel carries the load from now on.
func (e *Env) loadIsOn(ctx context.Context, tunnel string) error {
	sources, err := e.Consumer.GatewayAddresses(ctx, "egress")
	if err != nil {
		return err
	}
	before, err := e.WAN.Counters(ctx)
	if err != nil {
		return err
	}
	return Eventually(ctx, moveTime, "traffic on tunnel "+tunnel, func(ctx context.Context) error {
		now, err := e.WAN.Counters(ctx)
		if err != nil {
			return err
		}
		if u := bytesFrom(now.Since(before), sources); u[tunnel] < movedBytes {
			return fmt.Errorf("so far %s", u)
		}
		return nil
	})
}
