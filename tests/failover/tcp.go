// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// timeline says over which tunnel most new connections to each cluster went at which time. A client of TCP cannot tell the
// tunnel of its connection, and what the gateways make of it is connections of their own.
type timeline []span

// span ends at a time since the load began. It has the tunnels by cluster: ours, and the plain way's.
type span struct {
	until       time.Duration
	ours, plain map[string]string
}

// at is the tunnel of what was connected to a cluster; "" if that is not known.
func (t timeline) at(plain bool, cluster string, when time.Duration) string {
	for _, s := range t {
		switch {
		case when > s.until:
		case plain:
			return s.plain[cluster]
		default:
			return s.ours[cluster]
		}
	}
	return ""
}

// watchTCP counts new connections of the consumer's egress gateways by tunnel and exporter, half a second at a time: nearly
// all are those of TCP clients, since HTTP shares connections.
func (b *Bench) watchTCP(ctx context.Context, start time.Time) func() timeline {
	ctx, cancel := context.WithCancel(ctx)
	var out timeline
	done := make(chan struct{})
	go func() {
		defer close(done)
		var before story.Counters
		gateways, last := b.gateways(), span{}
		for story.Pause(ctx, 500*time.Millisecond) == nil {
			gateways.refresh(ctx)
			now, err := b.WAN.Counters(ctx)
			if err != nil {
				continue // the next look is soon
			}
			if before != nil {
				since := now.Since(before)
				last = span{time.Since(start), gateways.tunnels(since, gateways.ours, last.ours), gateways.tunnels(since, gateways.plain, last.plain)}
				out = append(out, last)
			}
			before = now
		}
	}()
	return func() timeline { cancel(); <-done; return out }
}

// gateways are the addresses between which TCP connections cross the SD-WAN.
type gateways struct {
	ours, plain *pods
	// exporters are the ingress gateways by cluster.
	exporters map[string]*pods
}

// pods are the addresses of a cluster's pods that were ready when they were last asked for.
type pods struct {
	cluster   *story.Cluster
	labels    client.MatchingLabels
	addresses []string
}

func (b *Bench) gateways() gateways {
	g := gateways{
		ours:      &pods{cluster: b.Consumer, labels: client.MatchingLabels{mcw.LabelGateway: mcw.GatewayEgress}},
		plain:     &pods{cluster: b.Consumer, labels: client.MatchingLabels{"app": plainName}},
		exporters: map[string]*pods{},
	}
	for _, c := range b.Exporters {
		g.exporters[c.Name] = &pods{cluster: c, labels: client.MatchingLabels{mcw.LabelGateway: mcw.GatewayIngress}}
	}
	return g
}

// refresh asks all API servers at once: one that hangs is to hold up no other.
func (g gateways) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range append(slices.Collect(maps.Values(g.exporters)), g.ours, g.plain) {
		wg.Go(func() { p.refresh(ctx) })
	}
	wg.Wait()
}

// refresh leaves the addresses what they are while the API server does not answer.
func (p *pods) refresh(ctx context.Context) {
	ready, err := p.cluster.ReadyPods(ctx, mcw.Namespace, p.labels)
	if err != nil {
		return
	}
	p.addresses = nil
	for _, pod := range ready {
		for _, ip := range pod.Status.PodIPs {
			p.addresses = append(p.addresses, ip.IP)
		}
	}
}

// tunnels are those of most new connections from some pods to each exporter, and where there was none, the one of before.
func (g gateways) tunnels(counted story.Counters, from *pods, before map[string]string) map[string]string {
	out := map[string]string{}
	for name, to := range g.exporters {
		counts := map[string]int{}
		for _, f := range counted {
			if f.Connections > 0 && slices.Contains(from.addresses, f.Source) && slices.Contains(to.addresses, f.Destination) {
				counts[f.Tunnel] += int(f.Connections)
			}
		}
		out[name] = cmp.Or(commonest(counts), before[name])
	}
	return out
}

// commonest is what has been counted most often; "" if nothing has.
func commonest(counts map[string]int) string {
	keys := slices.Sorted(maps.Keys(counts))
	if len(keys) == 0 {
		return ""
	}
	return slices.MaxFunc(keys, func(a, b string) int { return cmp.Compare(counts[a], counts[b]) })
}
