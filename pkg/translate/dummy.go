// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// addDummies adds the dummy Services of an import: for each WAN policy on offer a Service with the service's own ports
// and the policy's, whose legs have that policy whatever the rules and the exports say. Listeners take plain text only:
// rules and VirtualServices of clients with a sidecar reach policies without them, and a port costs the egress gateway
// a listener.
func addDummies(in LegInput, legs []leg, out *LegResult) {
	if len(in.Dummies) == 0 {
		return
	}
	out.Dummies = &mcs.Dummies{}
	for _, d := range in.Dummies {
		own := dummyLegs(d, legs)
		if len(own) == 0 {
			out.Dummies.Problem = cmp.Or(out.Dummies.Problem, d.Problem)
			continue
		}
		for _, l := range own {
			objects, paths := l.objects()
			out.DummyObjects = append(out.DummyObjects, objects...)
			out.Paths = append(out.Paths, paths...)
		}
		service := dummyService(d, own)
		out.DummyObjects = append(out.DummyObjects, service)
		out.Dummies.Names = append(out.Dummies.Names, service.Name)
	}
}

// dummyLegs are the legs of one dummy Service: those of the import, with its policy and on its listeners.
func dummyLegs(d Dummy, legs []leg) []leg {
	if d.Problem != nil {
		return nil
	}
	var out []leg
	for _, l := range legs {
		if port, ok := d.Ports[l.port.Port]; ok {
			l.listeners, l.policy, l.rules, l.dummy = LegPorts{Plain: port}, d.Policy, nil, true
			out = append(out, l)
		}
	}
	return out
}

// dummyService is the Service by which clients, VirtualServices and HTTPRoutes say "this service over that policy". Unlike
// the derived Service it is visible to the mesh: no ServiceEntry stands for it. The policy's port leads to the first HTTP
// port of the service, or to its first port.
func dummyService(d Dummy, legs []leg) *corev1.Service {
	first := legs[0]
	m := oursFor(DummyServiceName(first.namespace, first.name, d.Policy), v1alpha1.PartLeg, first.namespace, first.name)
	m.Labels[v1alpha1.LabelPolicy] = d.Policy
	s := legService(m)
	for _, l := range legs {
		s.Spec.Ports = append(s.Spec.Ports, servicePort(portName(l.port.ServicePort), l.port.Port, l.listeners.Plain))
	}
	sameNumber := func(l leg) bool { return l.port.Port == d.Port }
	if d.Port > 0 && !slices.ContainsFunc(legs, sameNumber) {
		if i := slices.IndexFunc(legs, func(l leg) bool { return isHTTP(l.port.ServicePort) }); i >= 0 {
			first = legs[i]
		}
		port := servicePort(DummyPortName(first.namespace, first.name), d.Port, first.listeners.Plain)
		protocol := strings.ToLower(protocolOf(first.port.ServicePort))
		port.AppProtocol = &protocol
		s.Spec.Ports = append(s.Spec.Ports, port)
	}
	return s
}

// DummyPortName names the port of a dummy Service that has its policy's number.
func DummyPortName(namespace, name string) string {
	return cut(name+"-"+namespace, maxName)
}
