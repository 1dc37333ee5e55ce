// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// maxDNSName is how long a name in DNS may be, RFC 1035, without the dot at its end.
const maxDNSName = 253

// NamedEndpoint is what stands behind one hostname of a headless Service: usually one pod.
type NamedEndpoint struct {
	Hostname string
	// Slices are the Service's EndpointSlices with nothing in them but this endpoint, in the order of their names.
	Slices []discoveryv1.EndpointSlice
}

// NamedEndpoints are the ready endpoints of a headless Service by hostname, in natural order (web-2 before web-10). One
// that has no hostname gets one made of its address, as CoreDNS does it; a pod with an address of each family is one
// endpoint, named by its IPv4 address.
func NamedEndpoints(service *corev1.Service, all []discoveryv1.EndpointSlice) []NamedEndpoint {
	all = slices.SortedFunc(slices.Values(all), func(a, b discoveryv1.EndpointSlice) int {
		return cmp.Or(cmp.Compare(a.AddressType, b.AddressType), cmp.Compare(a.Name, b.Name))
	})
	named := map[corev1.ObjectReference]string{}
	found := map[string]*NamedEndpoint{}
	for i := range all {
		if !BelongsTo(all[i], service) {
			continue
		}
		for _, e := range all[i].Endpoints {
			if !ReadyEndpoint(e, service.Spec.PublishNotReadyAddresses) {
				continue
			}
			name := hostnameOf(e, named)
			if found[name] == nil {
				found[name] = &NamedEndpoint{Hostname: name}
			}
			found[name].add(all[i], e)
		}
	}
	out := make([]NamedEndpoint, 0, len(found))
	for _, e := range found {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b NamedEndpoint) int { return CompareHostnames(a.Hostname, b.Hostname) })
	return out
}

// add adds an endpoint of a slice.
func (n *NamedEndpoint) add(from discoveryv1.EndpointSlice, e discoveryv1.Endpoint) {
	if last := len(n.Slices) - 1; last < 0 || n.Slices[last].Name != from.Name {
		from.Endpoints = nil
		n.Slices = append(n.Slices, from)
	}
	last := &n.Slices[len(n.Slices)-1]
	last.Endpoints = append(last.Endpoints, e)
}

// hostnameOf is the endpoint's hostname, or the one that the same pod has got already, or one made of its address.
func hostnameOf(e discoveryv1.Endpoint, named map[corev1.ObjectReference]string) string {
	if e.Hostname != nil && *e.Hostname != "" {
		return *e.Hostname
	}
	made := dashed(e.Addresses[0])
	if e.TargetRef == nil {
		return made
	}
	ref := corev1.ObjectReference{Kind: e.TargetRef.Kind, Namespace: e.TargetRef.Namespace, Name: e.TargetRef.Name, UID: e.TargetRef.UID}
	if named[ref] == "" {
		named[ref] = made
	}
	return named[ref]
}

// dashed is an address as a DNS label: 10-1-2-3, fd00--7. A label neither begins nor ends with a dash, as an IPv6 address
// may with a colon.
func dashed(address string) string {
	if addr, err := netip.ParseAddr(address); err == nil {
		address = addr.String()
	}
	out := strings.NewReplacer(".", "-", ":", "-").Replace(address)
	if strings.HasPrefix(out, "-") {
		out = "0" + out
	}
	if strings.HasSuffix(out, "-") {
		out += "0"
	}
	return out
}

// CompareHostnames is the natural order of hostnames: those that differ in a number at their end by that number.
func CompareHostnames(a, b string) int {
	stemA, numberA := ordinal(a)
	stemB, numberB := ordinal(b)
	return cmp.Or(cmp.Compare(stemA, stemB), cmp.Compare(numberA, numberB), cmp.Compare(a, b))
}

// ordinal splits off the number after the last dash; -1 where there is none.
func ordinal(hostname string) (stem string, number int) {
	if i := strings.LastIndexByte(hostname, '-'); i >= 0 {
		if n, err := strconv.ParseUint(hostname[i+1:], 10, 31); err == nil {
			return hostname[:i], int(n)
		}
	}
	return hostname, -1
}

// EndpointNameFits says whether the name of an endpoint, <hostname>.<cluster>.<service>.<namespace>.svc.clusterset.local,
// is a name that DNS can hold.
func EndpointNameFits(hostname, cluster, service, namespace string) bool {
	return len(strings.Join([]string{hostname, cluster, service, namespace, "svc", v1alpha1.ClusterSetDomain}, ".")) <= maxDNSName
}

// BelongsTo says whether kube-proxy would use the slice for the Service: it carries its name, and addresses are IPs.
func BelongsTo(s discoveryv1.EndpointSlice, service *corev1.Service) bool {
	ip := s.AddressType == discoveryv1.AddressTypeIPv4 || s.AddressType == discoveryv1.AddressTypeIPv6
	return ip && s.Namespace == service.Namespace && s.Labels[discoveryv1.LabelServiceName] == service.Name
}

// ReadyEndpoint is what the EndpointSlice API says of an endpoint's conditions: not known is ready, and a terminating
// endpoint is ready only where the Service publishes addresses that are not, which is when the endpoint controller says
// ready of every pod.
func ReadyEndpoint(e discoveryv1.Endpoint, publishNotReady bool) bool {
	if len(e.Addresses) == 0 || (e.Conditions.Ready != nil && !*e.Conditions.Ready) {
		return false
	}
	return publishNotReady || !ptr.Deref(e.Conditions.Terminating, false)
}
