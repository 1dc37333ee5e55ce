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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

const (
	// annotationIstioExportTo with hidden keeps a Service out of every proxy: the ServiceEntry of the same address stands
	// for it, and two services of one address collide in sidecars and in ztunnel.
	annotationIstioExportTo = "networking.istio.io/exportTo"
	hidden                  = "~"
	// labelNoPortTranslation keeps istiod from reading the number of a Gateway's server as a port of this Service and
	// using its targetPort: a user's port number could capture another leg's listener (pilot/pkg/model/gateway.go).
	labelNoPortTranslation = "experimental.istio.io/disable-gateway-port-translation"
	// labelTLSMode says of an endpoint that it takes Istio's mutual TLS, so that sidecars use it without a DestinationRule.
	labelTLSMode = "security.istio.io/tlsMode"
)

// oursAt is the metadata of something we write for a service into the service's own namespace.
func oursAt(in LegInput, name string) metav1.ObjectMeta {
	m := oursFor(name, v1alpha1.PartImport, in.Namespace, in.Name)
	m.Namespace = in.Namespace
	return m
}

// serviceImport is the ServiceImport. ips and ipFamilies come in one write (KEP-1645: readers compare their lengths).
// Exported labels and annotations come from ServiceExport.spec alone; ours win over them.
func serviceImport(in LegInput) *mcsv1beta1.ServiceImport {
	m := oursAt(in, in.Name)
	exported := maps.Clone(in.Merged.Labels)
	if exported == nil {
		exported = map[string]string{}
	}
	maps.Copy(exported, m.Labels)
	m.Labels = exported
	m.Annotations = maps.Clone(in.Merged.Annotations)
	si := &mcsv1beta1.ServiceImport{
		TypeMeta: metav1.TypeMeta{
			APIVersion: mcsv1beta1.GroupName + "/" + cmp.Or(in.Self.MCSVersion, mcsv1beta1.GroupVersion.Version),
			Kind:       mcsv1beta1.ServiceImportKindName,
		},
		ObjectMeta: m,
		Spec: mcsv1beta1.ServiceImportSpec{
			Type:                  in.Merged.Type,
			Ports:                 servicePorts(in.Merged),
			SessionAffinity:       in.Merged.SessionAffinity,
			SessionAffinityConfig: in.Merged.SessionAffinityConfig,
			InternalTrafficPolicy: in.Merged.InternalTrafficPolicy,
			TrafficDistribution:   in.Merged.TrafficDistribution,
			IPFamilies:            in.Merged.IPFamilies,
		},
		Status: mcsv1beta1.ServiceImportStatus{EndpointSliceObjects: mcsv1beta1.EndpointSliceObjectsAbsent},
	}
	if in.Merged.Type == mcsv1beta1.ClusterSetIP {
		si.Spec.IPs = in.VIPs
		si.Spec.IPFamilies = familiesOf(in.VIPs)
	}
	for _, c := range in.Merged.Clusters {
		si.Status.Clusters = append(si.Status.Clusters, mcsv1beta1.ClusterStatus{Cluster: c})
	}
	return si.DeepCopy() // until here it shares lists and pointers with the input
}

// servicePorts are the merged ports with their protocol written out; never nil, the field is required.
func servicePorts(m mcs.Merged) []mcsv1beta1.ServicePort {
	out := m.ServicePorts()
	for i := range out {
		if out[i].Protocol == "" {
			out[i].Protocol = corev1.ProtocolTCP
		}
	}
	return out
}

// derivedService is the Service whose ClusterIP is the ClusterSetIP: it leads clients without a sidecar to the plain
// listeners by kube-proxy, and keeps the ports of the mTLS listeners open on the same address for those with one. It has
// no multicluster.kubernetes.io labels, because istiod ignores endpoints with them.
func derivedService(in LegInput, legs []leg) *corev1.Service {
	m := oursFor(DerivedServiceName(in.Namespace, in.Name), v1alpha1.PartLeg, in.Namespace, in.Name)
	m.Annotations = map[string]string{annotationIstioExportTo: hidden}
	s := legService(m)
	if len(in.VIPs) == 0 && len(in.Wanted) > 0 {
		s.Spec.ClusterIP, s.Spec.ClusterIPs = in.Wanted[0], slices.Clone(in.Wanted)
	}
	for _, l := range legs {
		s.Spec.Ports = append(s.Spec.Ports,
			servicePort(portName(l.port.ServicePort), l.port.Port, l.listeners.Plain),
			servicePort(mtlsPortName(l.port.Port), l.listeners.MTLS, l.listeners.MTLS))
	}
	if len(legs) == 0 {
		s.Spec.Ports = []corev1.ServicePort{nothing()}
	}
	return s
}

// legService is a Service of the egress gateway, to which the ports of legs are still to be added.
func legService(m metav1.ObjectMeta) *corev1.Service {
	m.Labels[labelNoPortTranslation] = "true"
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: m,
		Spec: corev1.ServiceSpec{
			Type:           corev1.ServiceTypeClusterIP,
			IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack),
			Selector:       selectGateway(v1alpha1.GatewayEgress),
		},
	}
}

// nothing is the port of a Service that is kept for its address alone: a Service must have one. It leads to a port that
// the gateway's pods do not have, so it has no endpoints and connections are refused.
func nothing() corev1.ServicePort {
	return corev1.ServicePort{Name: "nothing", Protocol: corev1.ProtocolTCP, Port: 1, TargetPort: intstr.FromString("nothing")}
}

func servicePort(name string, port, target int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Protocol: corev1.ProtocolTCP, Port: port, TargetPort: intstr.FromInt32(target)}
}

// clientServiceEntry is the service as clients with a sidecar see it: a real mesh service in the service's namespace, so
// that their own VirtualServices and DestinationRules apply. Its endpoint is the VIP itself with the mTLS listener's
// port; the label makes sidecars use mutual TLS, subjectAltNames make them check that it is the own egress gateway. Of two
// VIPs the first is enough: both lead to the same gateways, and these hold a client to a cluster by the address that it
// comes from, which should not change with the family.
func clientServiceEntry(in LegInput, legs []leg) *networkingv1.ServiceEntry {
	se := &networkingv1.ServiceEntry{
		TypeMeta:   typeNetworking("ServiceEntry"),
		ObjectMeta: oursAt(in, ServiceEntryName(in.Name)),
		Spec: networkingv1alpha3.ServiceEntry{
			Hosts:           []string{ClusterSetHost(in.Name, in.Namespace)},
			Addresses:       slices.Clone(in.VIPs),
			Location:        networkingv1alpha3.ServiceEntry_MESH_INTERNAL,
			Resolution:      networkingv1alpha3.ServiceEntry_STATIC,
			SubjectAltNames: []string{in.Self.Identities.Egress},
		},
	}
	listeners := map[string]uint32{}
	for _, l := range legs {
		name := portName(l.port.ServicePort)
		listeners[name] = uint32(l.listeners.MTLS)
		se.Spec.Ports = append(se.Spec.Ports, &networkingv1alpha3.ServicePort{
			Name: name, Number: uint32(l.port.Port), Protocol: protocolOf(l.port.ServicePort),
		})
	}
	for _, vip := range in.VIPs[:min(1, len(in.VIPs))] {
		se.Spec.Endpoints = append(se.Spec.Endpoints, workload(vip, listeners))
	}
	return se
}

// workload is an address with the mTLS listeners behind it, by port name.
func workload(vip string, listeners map[string]uint32) *networkingv1alpha3.WorkloadEntry {
	return &networkingv1alpha3.WorkloadEntry{
		Address: vip,
		Ports:   maps.Clone(listeners),
		Labels:  map[string]string{labelTLSMode: "istio"},
	}
}

// endpointSlices are the MCS EndpointSlices: one per source cluster and address family, with the ClusterSetIP as the
// endpoint, because every backend of every cluster is behind it. That of a cluster that is about to go, or out of reach, is
// not ready while there are others, as KEP-1645 recommends (L1021-1031).
func endpointSlices(in LegInput, legs []leg) []Object {
	var out []Object
	staying := filter(in.Merged.Clusters, func(c string) bool { return !isDraining(in.Exports, c) })
	for _, c := range in.Merged.Clusters {
		exported := filter(legs, func(l leg) bool { return slices.Contains(l.port.Clusters, c) })
		for _, vip := range in.VIPs {
			if len(exported) > 0 {
				ready := len(staying) == 0 || slices.Contains(staying, c)
				out = append(out, endpointSlice(in, exported, c, familyOf(vip), []discoveryv1.Endpoint{
					{Addresses: []string{vip}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}},
				}))
			}
		}
	}
	return out
}

// endpointSlice is one MCS EndpointSlice, with the ports of the legs.
func endpointSlice(in LegInput, legs []leg, cluster string, family corev1.IPFamily, endpoints []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	m := oursAt(in, EndpointSliceName(in.Name, cluster, string(family)))
	m.Labels[mcsv1beta1.LabelServiceName] = in.Name
	m.Labels[mcsv1beta1.LabelSourceCluster] = cluster
	m.Labels[discoveryv1.LabelManagedBy] = v1alpha1.ValueManagedBy
	ports := []discoveryv1.EndpointPort{}
	for _, l := range legs {
		port := discoveryv1.EndpointPort{
			Name: new(l.port.Name), Protocol: new(corev1.ProtocolTCP), Port: new(l.port.Port), AppProtocol: l.port.AppProtocol,
		}
		ports = append(ports, *port.DeepCopy())
	}
	return &discoveryv1.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: "EndpointSlice"},
		ObjectMeta:  m,
		AddressType: discoveryv1.AddressType(family),
		Endpoints:   endpoints,
		Ports:       ports,
	}
}
