// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// The listener ports of whatever Leg writes are read back as they were given.
func TestLegPortsAreReadBack(t *testing.T) {
	in := payment(map[string]int32{"c2": 1})
	in.Exports[0].Ports = append(in.Exports[0].Ports, v1alpha1.AdvertisedPort{Name: "db", Protocol: corev1.ProtocolTCP, Port: 5432, ReadyBackends: 1})
	in.Merged = mcs.Merge(in.Exports)
	in.Ports[5432] = LegPorts{Plain: 10002, MTLS: 10003}
	dummy := Dummy{Policy: "high", Port: 31111, Ports: map[int32]int32{8080: 10004, 5432: 10005}}
	in.Dummies = []Dummy{dummy}
	out := Leg(in)
	if got := LegPortsOf(out.Service); !maps.Equal(got, in.Ports) || !EndpointOf(out.Service).IsZero() {
		t.Errorf("the derived Service leads to %v, want %v", got, in.Ports)
	}
	got := map[int32]int32{}
	for _, o := range out.DummyObjects {
		if s, ok := o.(*corev1.Service); ok {
			for port, listeners := range LegPortsOf(s) {
				got[port] = listeners.Plain
			}
		}
	}
	if !maps.Equal(got, dummy.Ports) {
		t.Errorf("the dummy Service leads to %v, want %v", got, dummy.Ports)
	}
}

func TestLegPortsOfEndpointsAreReadBack(t *testing.T) {
	in := ringImport(nil, map[EndpointKey][]string{{"c2", "ring-0"}: {"10.96.0.7"}, {"c2", "ring-1"}: nil})
	out := Leg(in)
	if len(out.EndpointServices) != 2 {
		t.Fatalf("%d Services, want 2", len(out.EndpointServices))
	}
	for _, e := range out.EndpointServices {
		if got, want := LegPortsOf(e.Service), in.Endpoints[e.Endpoint].Ports; !maps.Equal(got, want) || EndpointOf(e.Service) != e.Endpoint {
			t.Errorf("the Service of %s leads to %v, want %v", e.Endpoint, got, want)
		}
	}
}

// A Service that somebody changed by hand gives away no port of which only one listener is known.
func TestLegPortsWithoutTheirSecondListener(t *testing.T) {
	s := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
		{Name: "http", Port: 80, TargetPort: intstr.FromInt32(10000)},
		{Name: "mtls-81", Port: 10003, TargetPort: intstr.FromInt32(10003)},
	}}}
	if got := LegPortsOf(s); len(got) > 0 {
		t.Errorf("got %v, want nothing", got)
	}
}
