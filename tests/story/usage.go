// SPDX-License-Identifier: Apache-2.0

package story

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Way is a tunnel and the TCP port by which the SD-WAN chose it.
type Way struct {
	Tunnel string
	Port   int
}

func (w Way) String() string { return fmt.Sprintf("%s (port %d)", w.Tunnel, w.Port) }

// The ways of the sample's policies; backup is the Strict one of sampleFailover.
func wayHigh() Way   { return Way{"business", 31111} }
func wayLow() Way    { return Way{"default", 31112} }
func wayBackup() Way { return Way{"lte", 31114} }

// traffic is what two groups of gateways exchanged, in bytes of IP packets.
type traffic struct {
	// out is from the consumer's egress gateways to the exporter's ingress gateways, back the other direction.
	out, back   uint64
	connections uint64
	// dropped is packets from the egress to the ingress gateways that the tunnel did not forward; out does not have them.
	dropped uint64
}

func (t traffic) bytes() uint64 { return t.out + t.back }

// packetBytes is the most that an IP packet has: the MTU of the sandbox's devices.
const packetBytes = 1500

// offered is the most bytes that the egress gateways can have sent: whoever counts what must not be there cannot know how
// large the packets were that a tunnel dropped.
func (t traffic) offered() uint64 { return t.out + t.dropped*packetBytes }

// usage is traffic by way.
type usage map[Way]traffic

// on is the bytes, in both directions, of a tunnel.
func (u usage) on(tunnel string) uint64 {
	var n uint64
	for w, t := range u {
		if w.Tunnel == tunnel {
			n += t.bytes()
		}
	}
	return n
}

// others is the bytes, in both directions, of every tunnel but one.
func (u usage) others(tunnel string) uint64 {
	var n uint64
	for w, t := range u {
		if w.Tunnel != tunnel {
			n += t.bytes()
		}
	}
	return n
}

// plus is the sum.
func (u usage) plus(o usage) usage {
	sum := maps.Clone(u)
	for w, t := range o {
		s := sum[w]
		sum[w] = traffic{out: s.out + t.out, back: s.back + t.back, connections: s.connections + t.connections, dropped: s.dropped + t.dropped}
	}
	return sum
}

// String lists the ways, those with most bytes first, and leaves out those without any.
func (u usage) String() string {
	ways := slices.SortedFunc(maps.Keys(u), func(a, b Way) int {
		return cmp.Or(cmp.Compare(u[b].bytes(), u[a].bytes()), cmp.Compare(u[b].dropped, u[a].dropped), cmp.Compare(a.Tunnel, b.Tunnel), cmp.Compare(a.Port, b.Port))
	})
	var parts []string
	for _, w := range ways {
		t := u[w]
		if t.bytes() == 0 && t.dropped == 0 {
			continue
		}
		part := fmt.Sprintf("%s %s out, %s back", w, size(t.out), size(t.back))
		if t.dropped > 0 {
			part += fmt.Sprintf(", %d packets dropped", t.dropped)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "nothing on any tunnel"
	}
	return strings.Join(parts, "; ")
}

// size is a number of bytes for people.
func size(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

// sent is what was sent: n messages of each bytes, on connections of their own where connections is set.
type sent struct {
	n, each     int
	connections bool
}

func (s sent) String() string {
	what := "requests"
	if s.connections {
		what = "connections"
	}
	return fmt.Sprintf("%d %s of %s", s.n, what, size(uint64(s.each)))
}

// onlyOn says whether all that was sent went one way: every byte of it there, and on any other tunnel less than a single
// message has. What else gateways say to each other stays below that: keepalives on every tunnel, and the feed, which is
// told from requests by its port, the default policy's, and has about 1 KiB a second.
func (u usage) onlyOn(way Way, s sent) error {
	if got, want := u[way].out, uint64(s.n*s.each); got < want {
		return fmt.Errorf("%s carried %d bytes, want the %d that were sent (%s)", way, got, want, u)
	}
	if s.connections && u[way].connections < uint64(s.n) {
		return fmt.Errorf("%s carried %d new connections, want the %d that were opened (%s)", way, u[way].connections, s.n, u)
	}
	return u.notBeside(way, s)
}

// notBeside says whether every way but one was given less than a single message to carry.
func (u usage) notBeside(way Way, s sent) error {
	for w, t := range u {
		if w != way && t.offered() >= uint64(s.each) {
			return fmt.Errorf("%s carried %d bytes and dropped %d packets, one message has %d bytes: all belong on %s (%s)", w, t.out, t.dropped, s.each, way, u)
		}
	}
	return nil
}

// gateways are the addresses of the two ends of a path over the WAN.
type gateways struct{ egress, ingress []string }

// between picks the flows of these gateways. That leaves out the probes: they have the controllers' addresses.
func (g gateways) between(flows Counters) usage {
	u := usage{}
	for _, f := range flows {
		w := Way{f.Tunnel, f.Port}
		t := u[w]
		switch {
		case slices.Contains(g.egress, f.Source) && slices.Contains(g.ingress, f.Destination):
			t.out += f.Bytes
			t.connections += f.Connections
			t.dropped += f.Dropped.total()
		case slices.Contains(g.ingress, f.Source) && slices.Contains(g.egress, f.Destination):
			t.back += f.Bytes
		default:
			continue
		}
		u[w] = t
	}
	return u
}

// gateways are the consumer's egress gateways and the exporter's ingress gateways.
func (e *Env) gateways(ctx context.Context) (g gateways, err error) {
	if g.egress, err = e.Consumer.GatewayAddresses(ctx, mcw.GatewayEgress); err != nil {
		return g, err
	}
	g.ingress, err = e.Exporter.GatewayAddresses(ctx, mcw.GatewayIngress)
	return g, err
}

// used runs do and returns what the consumer's egress gateways and the exporter's ingress gateways exchanged meanwhile.
func (e *Env) used(ctx context.Context, do func(context.Context) error) (usage, error) {
	g, err := e.gateways(ctx)
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
	return g.between(after.Since(before)), nil
}

// GatewayAddresses are those of the ready pods of the egress or ingress gateway, of all address families.
func (c *Cluster) GatewayAddresses(ctx context.Context, gateway string) ([]string, error) {
	pods, err := c.ReadyPods(ctx, mcw.Namespace, client.MatchingLabels{mcw.LabelGateway: gateway})
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
