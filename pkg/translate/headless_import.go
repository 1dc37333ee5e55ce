// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"maps"
	"slices"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// endpoint is one endpoint of a headless import with its legs.
type endpoint struct {
	EndpointKey
	vips []string
	// wanted are the addresses that clients know the endpoint by; its Service asks for them when it is made anew.
	wanted []string
	legs   []leg
}

// Endpoints are the endpoints of a headless service, by cluster and hostname; none of a service of another type. A cluster
// that exports the name as another type, against the precedence of exports, has none.
func Endpoints(merged mcs.Merged, exports []v1alpha1.ServiceAdvertisementSpec) []EndpointKey {
	if merged.Type != mcsv1beta1.Headless {
		return nil
	}
	var out []EndpointKey
	for _, e := range exports {
		if !merged.ExportedBy(e.ClusterID) || e.Type != string(mcsv1beta1.Headless) {
			continue
		}
		for _, n := range e.Endpoints {
			out = append(out, EndpointKey{Cluster: e.ClusterID, Hostname: n.Hostname})
		}
	}
	slices.SortFunc(out, func(a, b EndpointKey) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), mcs.CompareHostnames(a.Hostname, b.Hostname))
	})
	return out
}

// EndpointPorts are the merged ports that a gateway can carry to one endpoint: those that its cluster really exports.
func EndpointPorts(merged mcs.Merged, endpoint EndpointKey) []mcs.MergedPort {
	out := filter(merged.Ports, func(p mcs.MergedPort) bool {
		return mcs.Carried(p.Protocol) && slices.Contains(p.Clusters, endpoint.Cluster)
	})
	slices.SortFunc(out, func(a, b mcs.MergedPort) int { return cmp.Compare(a.Port, b.Port) })
	return out
}

// addHeadless adds what a headless import needs: every endpoint has an address and legs of its own, which lead to that
// endpoint and no other, over every tunnel to its cluster.
func addHeadless(in LegInput, out *LegResult) {
	rules := rulesOf(in)
	endpoints := headlessEndpoints(in, rules.inForce, out)
	var all []leg
	for _, e := range endpoints {
		all = append(all, e.legs...)
		out.EndpointServices = append(out.EndpointServices, EndpointService{Endpoint: e.EndpointKey, Service: endpointService(in, e)})
		for _, l := range e.legs {
			objects, paths := l.objects()
			out.Objects = append(out.Objects, objects...)
			out.Paths = append(out.Paths, paths...)
		}
	}
	out.Rules, out.InForce = rules.conditions(all), rules.rulesInForce()
	out.Paths = uniquePaths(out.Paths)
	families := headlessFamilies(in.Merged.IPFamilies, endpoints)
	if len(families) > 0 {
		out.Import.Spec.IPFamilies = families
	}
	reachable := addressed(endpoints, families)
	for _, e := range reachable {
		out.Objects = append(out.Objects, endpointServiceEntry(in, e))
	}
	if chosen := foremost(reachable, in.preferenceOf); len(chosen) > 0 {
		out.Objects = append(out.Objects, headlessServiceEntries(in, chosen)...)
		out.Objects = append(out.Objects, headlessSlices(in, chosen)...)
	}
	out.Import.Status.EndpointSliceObjects = mcsv1beta1.EndpointSliceObjectsPresent
	var vips []string
	for _, e := range endpoints {
		vips = append(vips, e.vips...)
	}
	out.Problem = cmp.Or(problem(*out, all), familyProblem(in, vips))
}

// headlessEndpoints are the endpoints that have a leg.
func headlessEndpoints(in LegInput, rules *compiled, out *LegResult) []endpoint {
	missing := map[int32]bool{}
	var endpoints []endpoint
	for _, key := range Endpoints(in.Merged, in.Exports) {
		state := in.Endpoints[key]
		e := endpoint{EndpointKey: key, vips: state.VIPs, wanted: state.Wanted}
		for _, p := range EndpointPorts(in.Merged, key) {
			listeners, ok := state.Ports[p.Port]
			if !ok {
				missing[p.Port] = true
				continue
			}
			l := newLeg(in, p, listeners, out.Policy)
			l.shares, l.rules, l.endpoint = Shares{key.Cluster: whole}, rules.forPort(p.ServicePort), key
			e.legs = append(e.legs, l)
		}
		if len(e.legs) > 0 {
			endpoints = append(endpoints, e)
		}
	}
	out.Unallocated = slices.Sorted(maps.Keys(missing))
	return endpoints
}

// preferenceOf says which endpoints the service's name stands for: those of clusters that leave only where there are no
// others. They can still be called by their own names.
func (in LegInput) preferenceOf(e endpoint) preference {
	return Exporter{Draining: isDraining(in.Exports, e.Cluster), Drained: slices.Contains(in.Drained, e.Cluster)}.preference()
}

func isDraining(exports []v1alpha1.ServiceAdvertisementSpec, cluster string) bool {
	return slices.ContainsFunc(exports, func(e v1alpha1.ServiceAdvertisementSpec) bool { return e.ClusterID == cluster && e.Draining })
}

// addressed are the endpoints that have addresses of the families here, and no other addresses.
func addressed(endpoints []endpoint, families []corev1.IPFamily) []endpoint {
	var out []endpoint
	for _, e := range endpoints {
		e.vips = filter(e.vips, func(vip string) bool { return slices.Contains(families, familyOf(vip)) })
		if len(e.vips) > 0 {
			out = append(out, e)
		}
	}
	return out
}

// labelEndpoint tells by labels which endpoint of a headless service an object is for; nothing for other services.
func labelEndpoint(labels map[string]string, endpoint EndpointKey) {
	if !endpoint.IsZero() {
		labels[v1alpha1.LabelHostname], labels[v1alpha1.LabelSourceCluster] = endpoint.Hostname, endpoint.Cluster
	}
}

// endpointService is the derived Service of one endpoint: its ClusterIP is the endpoint's address in this cluster.
func endpointService(in LegInput, e endpoint) *corev1.Service {
	alone := in
	alone.VIPs, alone.Wanted = e.vips, e.wanted
	s := derivedService(alone, e.legs)
	s.Name = EndpointServiceName(in.Namespace, in.Name, e.EndpointKey)
	labelEndpoint(s.Labels, e.EndpointKey)
	return s
}

// endpointServiceEntry is one endpoint as clients with a sidecar see it: a mesh service of its own, so that a connection to
// its address goes to no other endpoint.
func endpointServiceEntry(in LegInput, e endpoint) *networkingv1.ServiceEntry {
	alone := in
	alone.VIPs = e.vips
	se := clientServiceEntry(alone, e.legs)
	se.Name = EndpointServiceEntryName(in.Name, e.EndpointKey)
	labelEndpoint(se.Labels, e.EndpointKey)
	se.Spec.Hosts = []string{EndpointHost(in.Name, in.Namespace, e.EndpointKey)}
	return se
}

// headlessServiceEntries are the service as a whole as clients with a sidecar see it: its name has the addresses of all
// endpoints. HTTP requests to it are spread over them. TCP connections keep the address that the client chose, for which
// the endpoint's own ServiceEntry has the listener: here TCP ports are declared as UDP, for which sidecars make neither
// listener nor cluster (istio/istio pilot/pkg/networking/core, cluster.go and listener.go), so that the two do not collide.
//
// Two ServiceEntries of one host, which istiod takes as one service: it counts every endpoint once for each address that
// stands in the same ServiceEntry (serviceentry/conversion.go), so the one with the endpoints has the first address, and
// the other ones stand apart.
func headlessServiceEntries(in LegInput, endpoints []endpoint) []Object {
	se := clientServiceEntry(LegInput{Self: in.Self, Namespace: in.Namespace, Name: in.Name}, nil)
	declared := map[int32]bool{}
	for _, e := range endpoints {
		se.Spec.Addresses = append(se.Spec.Addresses, e.vips...)
		ports := map[string]uint32{}
		for _, l := range e.legs {
			p := &networkingv1alpha3.ServicePort{
				Name: portName(l.port.ServicePort), Number: uint32(l.port.Port), Protocol: protocolOf(l.port.ServicePort),
			}
			if isHTTP(l.port.ServicePort) {
				ports[p.Name] = uint32(l.listeners.MTLS)
			} else {
				p.Name, p.Protocol = "udp-"+itoa(l.port.Port), protocolUDP
			}
			if !declared[l.port.Port] {
				declared[l.port.Port] = true
				se.Spec.Ports = append(se.Spec.Ports, p)
			}
		}
		for _, vip := range e.vips {
			if len(ports) > 0 {
				se.Spec.Endpoints = append(se.Spec.Endpoints, workload(vip, ports))
			}
		}
	}
	slices.SortFunc(se.Spec.Ports, func(a, b *networkingv1alpha3.ServicePort) int { return cmp.Compare(a.Number, b.Number) })
	if len(se.Spec.Addresses) == 1 {
		return []Object{se}
	}
	others := se.DeepCopy()
	others.Name = AddressesServiceEntryName(in.Name)
	others.Spec.Addresses, others.Spec.Endpoints = se.Spec.Addresses[1:], nil
	se.Spec.Addresses = se.Spec.Addresses[:1:1]
	return []Object{se, others}
}

// headlessSlices are the MCS EndpointSlices of a headless import: one per source cluster and address family, with the
// addresses that the endpoints have in this cluster. DNS makes their names of the hostnames.
func headlessSlices(in LegInput, endpoints []endpoint) []Object {
	var out []Object
	for _, c := range in.Merged.Clusters {
		of := filter(endpoints, func(e endpoint) bool { return e.Cluster == c })
		for _, family := range []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol} {
			if s := headlessSlice(in, c, family, of); len(s.Endpoints) > 0 {
				out = append(out, s)
			}
		}
	}
	return out
}

func headlessSlice(in LegInput, cluster string, family corev1.IPFamily, endpoints []endpoint) *discoveryv1.EndpointSlice {
	var ports []leg
	var members []discoveryv1.Endpoint
	for _, e := range endpoints {
		for _, vip := range e.vips {
			if familyOf(vip) != family {
				continue
			}
			ready, hostname := true, e.Hostname
			members = append(members, discoveryv1.Endpoint{
				Addresses: []string{vip}, Hostname: &hostname, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			})
			if len(e.legs) > len(ports) {
				ports = e.legs
			}
		}
	}
	return endpointSlice(in, ports, cluster, family, members)
}

// headlessFamilies are the families in which the endpoints have addresses here and that all exporters' pods have; where
// there is no such family all that they have here, since the gateways carry either to any pod.
func headlessFamilies(common []corev1.IPFamily, endpoints []endpoint) []corev1.IPFamily {
	var here []corev1.IPFamily
	for _, e := range endpoints {
		for _, f := range familiesOf(e.vips) {
			if !slices.Contains(here, f) {
				here = append(here, f)
			}
		}
	}
	if both := filter(here, func(f corev1.IPFamily) bool { return slices.Contains(common, f) }); len(both) > 0 {
		return both
	}
	return here
}
