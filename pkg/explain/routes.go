// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// forward says which ways the requests take: each policy's part of each exporter's share.
func (e *explanation) forward(policies []share, reason string) {
	ways := e.ways()
	if len(ways) == 0 {
		e.answer(Failed, 503, "no cluster exports the port")
		return
	}
	e.answer(Forwarded, 0, "%s", reason)
	total := 0.0
	for _, p := range policies {
		total += float64(p.weight)
	}
	for _, p := range policies {
		part := float64(p.weight) / total
		if p.policy == "" {
			e.add(Route{Percent: 100 * part, Reason: p.lost, Status: 503})
			continue
		}
		for _, w := range ways {
			key := translate.PathKey{Policy: p.policy, Exporter: w.cluster, Backup: w.backup, Failover: e.failover(p.policy)}
			e.add(Route{
				Percent: part * w.percent, Policy: p.policy, Cluster: w.cluster, Path: translate.PathHost(key), Hops: e.hops(key),
			})
		}
	}
	for i := range e.Routes {
		e.Routes[i].Percent = math.Round(e.Routes[i].Percent*100) / 100
	}
}

// way is an exporter's share of the requests, and who stands in for it.
type way struct {
	cluster, backup string
	percent         float64
}

// ways are how the exporters share the requests to the port; of a headless service by endpoints, none of which has a backup.
func (e *explanation) ways() []way {
	var out []way
	if e.headless() {
		for _, endpoint := range e.endpoints() {
			out = append(out, way{cluster: endpoint.Cluster, percent: 100 / float64(len(e.endpoints()))})
		}
		return out
	}
	shares, ring := translate.Sharing(e.in, e.port)
	for _, id := range shares.Clusters() {
		out = append(out, way{cluster: id, backup: e.standIn(ring, id), percent: float64(shares[id])})
	}
	return out
}

// standIn is who answers when an exporter is lost: this cluster if it is among the others that can, else the next by id.
func (e *explanation) standIn(ring []string, exporter string) string {
	others := slices.DeleteFunc(slices.Clone(ring), func(id string) bool { return id == exporter })
	switch {
	case len(others) == 0:
		return ""
	case slices.Contains(others, e.in.Self.ID):
		return e.in.Self.ID
	}
	next := slices.IndexFunc(others, func(id string) bool { return id > exporter })
	return others[max(0, next)]
}

// add adds a way, or to the share of one that is there.
func (e *explanation) add(r Route) {
	at := slices.IndexFunc(e.Routes, func(o Route) bool { return o.Path == r.Path && o.Policy == r.Policy })
	if at >= 0 {
		e.Routes[at].Percent += r.Percent
		return
	}
	e.Routes = append(e.Routes, r)
	if r.Path != "" {
		name := r.Path[:len(r.Path)-len("."+translate.PathDomain)]
		e.Objects = append(e.Objects,
			fmt.Sprintf("ServiceEntry.networking.istio.io %s/%s", v1alpha1.Namespace, name),
			fmt.Sprintf("DestinationRule.networking.istio.io %s/%s", v1alpha1.Namespace, name))
	}
}

// connections answers for a TCP port: rules do not apply, and all exporters are on one path.
func (e *explanation) connections() {
	e.TCP = true
	policy, reason := e.over(fmt.Sprintf("port %d is TCP, which no rule is for; the WANPolicy of the export holds", e.port.Port))
	if policy == "" {
		e.answer(Failed, 0, "the exports name no WANPolicy and this cluster has no default: nothing listens")
		e.Objects = slices.DeleteFunc(e.Objects, func(o string) bool { return strings.Contains(o, ".networking.istio.io ") })
		return
	}
	e.answer(Forwarded, 0, "%s, %s", reason, policy)
	wire := translate.WireKey{Namespace: e.key.Namespace, Name: e.key.Name, Port: e.port.Port}
	if !e.headless() {
		e.connect(translate.PathKey{Policy: policy, TCP: wire, Failover: e.failover(policy)}, 100)
		return
	}
	for _, endpoint := range e.endpoints() {
		wire.Endpoint = endpoint
		e.connect(translate.PathKey{Policy: policy, TCP: wire, Failover: e.failover(policy)}, 100/float64(len(e.endpoints())))
	}
}

func (e *explanation) connect(key translate.PathKey, percent float64) {
	e.add(Route{
		Percent: math.Round(percent*100) / 100, Policy: key.Policy, Cluster: key.TCP.Endpoint.Cluster,
		Path: translate.PathHost(key), Hops: e.hops(key),
	})
}

// failover is what the exports say in place of a policy's own, where it holds.
func (e *explanation) failover(policy string) string {
	return translate.PathFailover(policy, e.in.Merged, e.in.Policies)
}

// hops are those of a path in the order in which they are tried, then those that are not used.
func (e *explanation) hops(key translate.PathKey) []Hop {
	in := snapshot.PathInput(e.l, key)
	var exporters []string
	if !key.TCP.IsZero() {
		exporters = translate.NextShares(in.Previous, in.Exporters).Clusters()
	}
	var out []Hop
	used, ranks := map[translate.HopKey]bool{}, []int(nil)
	add := func(h translate.Hop, rank int) {
		out = append(out, Hop{
			Rank: rank, Policy: h.Policy, Tunnel: h.Tunnel, Cluster: h.Cluster, Address: h.Address, Port: h.Port,
			State: cmp.Or(in.Health[h.HopKey], v1alpha1.HopUnknown),
		})
	}
	for _, h := range translate.Order(in) {
		if !slices.Contains(ranks, h.Rank) {
			ranks = append(ranks, h.Rank)
		}
		used[h.HopKey] = true
		add(h, len(ranks))
	}
	for _, h := range translate.Rank(key, in.Policies, in.Cards, exporters...) {
		if !used[h.HopKey] {
			add(h, 0)
		}
	}
	return out
}
