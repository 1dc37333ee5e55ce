// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// backend is one advertised endpoint of a headless service as the ingress gateway's destination.
type backend struct {
	way     way
	objects []Object
}

// backends are the endpoints that are advertised and there, in the advertisement's order.
func (e export) backends() []backend {
	if e.in.Advertisement.Type != string(mcsv1beta1.Headless) {
		return nil
	}
	var out []backend
	for _, advertised := range e.in.Advertisement.Endpoints {
		i := slices.IndexFunc(e.in.Endpoints, func(n mcs.NamedEndpoint) bool { return n.Hostname == advertised.Hostname })
		if i < 0 {
			continue
		}
		key := EndpointKey{Cluster: e.in.Advertisement.ClusterID, Hostname: advertised.Hostname}
		name := BackendServiceName(e.in.Advertisement.Namespace, e.in.Advertisement.Name, key)
		b := backend{way: way{endpoint: key, service: name}, objects: []Object{e.backendService(name, key)}}
		known := map[discoveryv1.AddressType]int{}
		for _, slice := range e.in.Endpoints[i].Slices {
			b.objects = append(b.objects, e.backendSlice(BackendSliceName(name, slice.AddressType, known[slice.AddressType]), name, key, slice))
			known[slice.AddressType]++
		}
		out = append(out, b)
	}
	return out
}

func (e export) backendMeta(name string, key EndpointKey) metav1.ObjectMeta {
	m := oursFor(name, v1alpha1.PartExport, e.in.Advertisement.Namespace, e.in.Advertisement.Name)
	labelEndpoint(m.Labels, key)
	return m
}

// backendService stands for one endpoint: headless, so it costs no address, without a selector, because its endpoints are
// written with it, and hidden from all proxies but the gateways. To istiod its endpoint is the pod that the slice refers
// to, whatever the pod's namespace (pilot/pkg/serviceregistry/kube/controller/endpointslice.go, getPod), so mutual TLS and
// the identity that is expected follow from the pod as they do for its own Service.
func (e export) backendService(name string, key EndpointKey) *corev1.Service {
	m := e.backendMeta(name, key)
	m.Annotations = map[string]string{annotationIstioExportTo: "."}
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: m,
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: corev1.ClusterIPNone},
	}
	for _, p := range e.ports() {
		port := servicePort(portName(p), p.Port, p.Port)
		s.Spec.Ports = append(s.Spec.Ports, port)
	}
	return s
}

// backendSlice is one EndpointSlice of the exported Service with nothing but the endpoint in it, as the backend Service's.
// A port is known by its name, and the number in the slice is the pod's own.
func (e export) backendSlice(name, service string, key EndpointKey, from discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	m := e.backendMeta(name, key)
	m.Labels[discoveryv1.LabelServiceName] = service
	m.Labels[discoveryv1.LabelManagedBy] = v1alpha1.ValueManagedBy
	out := &discoveryv1.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: "EndpointSlice"},
		ObjectMeta:  m,
		AddressType: from.AddressType,
		Ports:       e.slicePorts(from.Ports),
	}
	for _, member := range from.Endpoints {
		ready := true
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
			Addresses:  slices.Clone(member.Addresses),
			Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			TargetRef:  member.TargetRef.DeepCopy(),
		})
	}
	return out
}

// slicePorts are the slice's ports under the names that they have in the backend Service.
func (e export) slicePorts(from []discoveryv1.EndpointPort) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for _, p := range e.ports() {
		for _, have := range from {
			if have.Port == nil || ptr.Deref(have.Name, "") != p.Name || !sameProtocol(ptr.Deref(have.Protocol, ""), p.Protocol) {
				continue
			}
			name, protocol, number := portName(p), corev1.ProtocolTCP, *have.Port
			out = append(out, discoveryv1.EndpointPort{Name: &name, Protocol: &protocol, Port: &number})
			break
		}
	}
	return out
}
