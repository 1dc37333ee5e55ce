// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/mesh"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Merged is the service as all exporters together describe it.
func Merged(l Lister, key types.NamespacedName) mcs.Merged { return mcs.Merge(Exports(l, key)) }

// LegPorts allocates the listener ports of an import's TCP service ports. The table that comes back is to be written
// before anything that uses the ports; if it is Equal to the one given nothing has to be written. Service ports for which
// nothing is left are missing in the map. Ports of service ports that are no longer there are released.
func LegPorts(table ports.Table, merged mcs.Merged, key types.NamespacedName) (ports.Table, map[int32]translate.LegPorts) {
	avoid, wanted := ports.Set{}, []ports.Key(nil)
	for _, p := range merged.Ports {
		// The VIP has the service's own ports and, for clients with a sidecar, the mTLS listeners': they must differ.
		avoid[p.Port] = struct{}{}
		if merged.Type == mcsv1beta1.ClusterSetIP && mcs.Carried(p.Protocol) {
			wanted = append(wanted, portKey(key, p.Port))
		}
	}
	slices.SortFunc(wanted, func(a, b ports.Key) int { return cmp.Compare(a.Port, b.Port) })
	table = table.Retain(key.Namespace, key.Name, func(k ports.Key) bool { return k.Policy != "" || k.Endpoint != "" || slices.Contains(wanted, k) })
	out := map[int32]translate.LegPorts{}
	for _, k := range wanted {
		// The only error is that nothing is left: the port has no leg then, and the import says so.
		next, got, err := table.Allocate(k, ports.PerLeg, avoid)
		if err == nil && len(got) == ports.PerLeg {
			table = next
			out[k.Port] = translate.LegPorts{Plain: got[0], MTLS: got[1]}
		}
	}
	return table, out
}

func portKey(key types.NamespacedName, port int32) ports.Key {
	return ports.Key{Namespace: key.Namespace, Name: key.Name, Port: port}
}

// allocated are the listener ports that the table has for an import's service ports.
func allocated(table ports.Table, merged mcs.Merged, key types.NamespacedName) map[int32]translate.LegPorts {
	out := map[int32]translate.LegPorts{}
	for _, p := range merged.Ports {
		if got := table.Get(portKey(key, p.Port)); len(got) == ports.PerLeg {
			out[p.Port] = translate.LegPorts{Plain: got[0], MTLS: got[1]}
		}
	}
	return out
}

// AdvertiseInput collects what one export's advertisement is made of. Draining and DrainDeadline are the caller's.
func AdvertiseInput(l Lister, key types.NamespacedName) advertise.Input {
	in := advertise.Input{
		ClusterID: l.Self().ID,
		Export:    l.Export(key.Namespace, key.Name),
		Service:   l.Service(key.Namespace, key.Name),
		Slices:    l.Slices(key.Namespace, key.Name),
		Policies:  l.Policies(),
		Rules:     l.OwnerRules(key.Namespace, key.Name),
	}
	if own := ownAdvertisement(l, key); own != nil {
		in.Previous = &own.Spec
	}
	return in
}

// ImportInput collects what the legs of one import are made of. Ports come from the Lister's table, see LegPorts.
func ImportInput(l Lister, key types.NamespacedName) translate.LegInput {
	exports := Exports(l, key)
	in := translate.LegInput{
		Self:      l.Self(),
		Namespace: key.Namespace,
		Name:      key.Name,
		Merged:    mcs.Merge(exports),
		Exports:   exports,
		Drained:   translate.DrainedPeers(l.Peers()),
		Policies:  l.Policies(),
		VIPs:      vips(l.Service(v1alpha1.Namespace, translate.DerivedServiceName(key.Namespace, key.Name))),
		Previous:  map[int32]translate.Shares{},
	}
	in.Ports = allocated(l.PortTable(), in.Merged, key)
	in.Endpoints = endpointStates(l, in.Merged, exports, key)
	in.Rules = l.Rules(key.Namespace, key.Name)
	in.Offered = offered(l, in.Merged).names()
	in.Gateways = gatewaysOf(Cards(l), in.Merged)
	in.Dummies = withPorts(Dummies(l, key, in.Merged), l.PortTable(), in.Merged, key)
	if si := l.Import(key.Namespace, key.Name); si != nil {
		in.Wanted = slices.Clone(si.Spec.IPs)
	}
	for _, p := range in.Merged.Ports {
		if s := l.LegShares(key.Namespace, key.Name, p.Port); s != nil {
			in.Previous[p.Port] = s
		}
	}
	return in
}

// gatewaysOf are the addresses of the exporters' ingress gateways.
func gatewaysOf(cards []v1alpha1.ClusterAdvertisementSpec, merged mcs.Merged) []string {
	var out []string
	for _, c := range cards {
		if merged.ExportedBy(c.ClusterID) {
			out = append(out, c.Addresses...)
		}
	}
	return out
}

// vips are the ClusterIPs of a Service that has some.
func vips(s *corev1.Service) []string {
	if s == nil || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if len(s.Spec.ClusterIPs) > 0 {
		return slices.Clone(s.Spec.ClusterIPs)
	}
	if s.Spec.ClusterIP != "" {
		return []string{s.Spec.ClusterIP}
	}
	return nil
}

// ExportInput collects what the ingress side of one export is made of; false if this cluster does not advertise it.
func ExportInput(l Lister, key types.NamespacedName) (translate.ExportInput, bool) {
	own := ownAdvertisement(l, key)
	if own == nil {
		return translate.ExportInput{}, false
	}
	return ExportInputOf(l, own.Spec), true
}

// ExportInputOf collects what the ingress side of an export is made of, given what is about to be advertised.
func ExportInputOf(l Lister, spec v1alpha1.ServiceAdvertisementSpec) translate.ExportInput {
	in := translate.ExportInput{
		Self: l.Self(), Advertisement: spec, Policies: l.Policies(), FormerPorts: l.FormerPorts(), Rules: l.OwnerRules(spec.Namespace, spec.Name),
	}
	service := l.Service(spec.Namespace, spec.Name)
	if service != nil && spec.Type == string(mcsv1beta1.Headless) {
		in.Endpoints = mcs.NamedEndpoints(service, l.Slices(spec.Namespace, spec.Name))
	}
	return in
}

// PathInput collects what a path is made of.
func PathInput(l Lister, key translate.PathKey) translate.PathInput {
	in := translate.PathInput{Self: l.Self(), Key: key, Policies: l.Policies(), Cards: Cards(l), Peers: l.Peers(), Health: l.Health()}
	if key.TCP.IsZero() {
		return in
	}
	exports := Exports(l, types.NamespacedName{Namespace: key.TCP.Namespace, Name: key.TCP.Name})
	merged := mcs.Merge(exports)
	in.TrafficDistribution, in.SessionAffinity = merged.TrafficDistribution, merged.SessionAffinity
	for _, p := range merged.Ports {
		if p.Port == key.TCP.Port && mcs.Carried(p.Protocol) {
			in.Exporters = translate.Exporters(p, exports)
		}
	}
	if e := key.TCP.Endpoint; !e.IsZero() {
		in.Exporters = []translate.Exporter{{ClusterID: e.Cluster}}
	}
	in.Previous = l.PathShares(key)
	return in
}

// FleetInput collects what the fleet's objects are made of.
func FleetInput(l Lister) translate.FleetInput {
	return translate.FleetInput{
		Self: l.Self(), Policies: l.Policies(), Peers: l.Peers(), Cards: Cards(l), FormerPorts: l.FormerPorts(), FormerPeers: l.FormerPeers(),
	}
}

// CardInput collects what the own card is made of. policies are those whose Gateways have been written. Advertisements,
// Previous, TrustRoot, Versions and Drained are the caller's.
func CardInput(l Lister, policies []v1alpha1.WANPolicy) translate.CardInput {
	return translate.CardInput{Self: l.Self(), Policies: policies, Addresses: gatewayAddresses(l)}
}

// gatewayAddresses are the addresses of the own ready ingress gateways, as peers reach them.
func gatewayAddresses(l Lister) []string {
	var ready []string
	for _, slice := range l.Slices(v1alpha1.Namespace, v1alpha1.IngressName) {
		if slice.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		for _, e := range slice.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				ready = append(ready, e.Addresses...)
			}
		}
	}
	slices.Sort(ready)
	return mesh.GatewayAddresses(l.Service(v1alpha1.Namespace, v1alpha1.IngressName), slices.Compact(ready))
}
