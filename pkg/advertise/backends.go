// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// slicePort is how an EndpointSlice names a port: by the name of the Service's port, so that a named target port may be
// another number in each pod.
type slicePort struct {
	name     string
	protocol corev1.Protocol
}

// advertisedPorts are the Service's ports with the ready backends behind each.
func advertisedPorts(in Input) []v1alpha1.AdvertisedPort {
	counted := countBackends(in.Service, in.Slices)
	var out []v1alpha1.AdvertisedPort
	for _, p := range in.Service.Spec.Ports {
		protocol := cmp.Or(p.Protocol, corev1.ProtocolTCP)
		count := counted[slicePort{p.Name, protocol}].count()
		port := v1alpha1.AdvertisedPort{
			Name: p.Name, Protocol: protocol, Port: p.Port, AppProtocol: p.AppProtocol,
			ReadyBackends: Quantize(count, previousCount(in, protocol, p.Port)),
		}
		out = append(out, *port.DeepCopy())
	}
	return out
}

func previousCount(in Input, protocol corev1.Protocol, port int32) int32 {
	if in.Previous == nil {
		return 0
	}
	for _, p := range in.Previous.Ports {
		if p.Protocol == protocol && p.Port == port {
			return p.ReadyBackends
		}
	}
	return 0
}

// backends are the ready backends of a port. A pod of a dual-stack Service stands in a slice of each family, so what an
// endpoint refers to is counted once. Endpoints written by hand refer to nothing: then an address is a backend, and of
// the two families the one that has more counts.
type backends struct {
	referred map[corev1.ObjectReference]struct{}
	bare     map[discoveryv1.AddressType]map[string]struct{}
}

func (b *backends) add(family discoveryv1.AddressType, e discoveryv1.Endpoint) {
	if e.TargetRef != nil {
		b.referred[corev1.ObjectReference{Kind: e.TargetRef.Kind, Namespace: e.TargetRef.Namespace, Name: e.TargetRef.Name, UID: e.TargetRef.UID}] = struct{}{}
		return
	}
	if b.bare[family] == nil {
		b.bare[family] = map[string]struct{}{}
	}
	// The first address stands for the endpoint: the others are interchangeable with it (EndpointSlice API).
	b.bare[family][e.Addresses[0]] = struct{}{}
}

func (b *backends) count() int32 {
	if b == nil {
		return 0
	}
	bare := max(len(b.bare[discoveryv1.AddressTypeIPv4]), len(b.bare[discoveryv1.AddressTypeIPv6]))
	return int32(min(len(b.referred)+bare, maxBackends))
}

// countBackends counts the ready backends behind each port of a Service.
func countBackends(service *corev1.Service, slices []discoveryv1.EndpointSlice) map[slicePort]*backends {
	out := map[slicePort]*backends{}
	for i := range slices {
		if !mcs.BelongsTo(slices[i], service) {
			continue
		}
		for _, p := range slices[i].Ports {
			key := slicePort{ptr.Deref(p.Name, ""), cmp.Or(ptr.Deref(p.Protocol, ""), corev1.ProtocolTCP)}
			if out[key] == nil {
				out[key] = &backends{referred: map[corev1.ObjectReference]struct{}{}, bare: map[discoveryv1.AddressType]map[string]struct{}{}}
			}
			for _, e := range slices[i].Endpoints {
				if mcs.ReadyEndpoint(e, service.Spec.PublishNotReadyAddresses) {
					out[key].add(slices[i].AddressType, e)
				}
			}
		}
	}
	return out
}
