// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

const v4, v6 = discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6

func TestReadyBackends(t *testing.T) {
	notReady := func(e *discoveryv1.Endpoint) { e.Conditions.Ready = new(false) }
	unknown := func(e *discoveryv1.Endpoint) { e.Conditions = discoveryv1.EndpointConditions{} }
	terminating := func(e *discoveryv1.Endpoint) { e.Conditions.Terminating, e.Conditions.Serving = new(true), new(true) }
	reborn := func(e *discoveryv1.Endpoint) { e.TargetRef.UID = "another" }
	http := []string{"http"}
	labelled := func(s discoveryv1.EndpointSlice, key, value string) discoveryv1.EndpointSlice {
		s.Labels = map[string]string{key: value}
		return s
	}
	elsewhere := slice(v4, http, pod("x"))
	elsewhere.Namespace = "other"
	udp := slice(v4, http, pod("x"))
	udp.Ports[0].Protocol = new(corev1.ProtocolUDP)
	unsaid := slice(v4, http, pod("a"))
	unsaid.Ports[0].Protocol = nil
	for name, tc := range map[string]struct {
		slices  []discoveryv1.EndpointSlice
		publish bool
		want    int32
	}{
		"none":                           {nil, false, 0},
		"several slices":                 {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a"), pod("b")), slice(v4, http, pod("c"))}, false, 3},
		"a pod that moves between them":  {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a")), slice(v4, http, pod("a"))}, false, 1},
		"both families of a pod":         {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a"), pod("b")), slice(v6, http, pod("a"), pod("b"))}, false, 2},
		"one family is not there yet":    {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a")), slice(v6, http, pod("a"), pod("b"))}, false, 2},
		"a StatefulSet pod born again":   {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a"), pod("a", reborn))}, false, 2},
		"not ready":                      {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a"), pod("b", notReady))}, false, 1},
		"not known is ready":             {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a", unknown))}, false, 1},
		"terminating":                    {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a", terminating))}, false, 0},
		"terminating, but published":     {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a", terminating))}, true, 1},
		"not ready, published":           {[]discoveryv1.EndpointSlice{slice(v4, http, pod("a", notReady))}, true, 0},
		"written by hand":                {[]discoveryv1.EndpointSlice{slice(v4, http, bare("192.0.2.1"), bare("192.0.2.2"), bare("192.0.2.1"))}, false, 2},
		"written by hand, both families": {[]discoveryv1.EndpointSlice{slice(v4, http, bare("192.0.2.1"), bare("192.0.2.2")), slice(v6, http, bare("2001:db8::1"))}, false, 2},
		"by hand beside pods":            {[]discoveryv1.EndpointSlice{slice(v4, http, bare("192.0.2.1"), pod("a"))}, false, 2},
		"without an address":             {[]discoveryv1.EndpointSlice{slice(v4, http, discoveryv1.Endpoint{})}, false, 0},
		"names instead of addresses":     {[]discoveryv1.EndpointSlice{slice(discoveryv1.AddressTypeFQDN, http, bare("example.com"))}, false, 0},
		"another Service's":              {[]discoveryv1.EndpointSlice{labelled(slice(v4, http, pod("a")), discoveryv1.LabelServiceName, "other")}, false, 0},
		"another namespace's":            {[]discoveryv1.EndpointSlice{elsewhere}, false, 0},
		"an imported one":                {[]discoveryv1.EndpointSlice{labelled(slice(v4, http, pod("a")), "multicluster.kubernetes.io/service-name", "payment")}, false, 0},
		"another protocol":               {[]discoveryv1.EndpointSlice{udp}, false, 0},
		"protocol not said is TCP":       {[]discoveryv1.EndpointSlice{unsaid}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := Advertise(payment(func(in *Input) { in.Slices, in.Service.Spec.PublishNotReadyAddresses = tc.slices, tc.publish }))
			if n := got.Advertisement.Ports[0].ReadyBackends; n != tc.want {
				t.Errorf("ready backends = %d, want %d", n, tc.want)
			}
		})
	}
}

// TestNamedTargetPorts: pods of two versions have the port under one name on different numbers, and only the new ones
// have the second port. The endpoint controller makes a slice for each set of numbers.
func TestNamedTargetPorts(t *testing.T) {
	old, young := slice(v4, []string{"http"}, pod("a"), pod("b")), slice(v4, []string{"admin", "http"}, pod("c"))
	got := Advertise(payment(func(in *Input) {
		in.Service.Spec.Ports = append(in.Service.Spec.Ports, corev1.ServicePort{Name: "admin", Protocol: corev1.ProtocolTCP, Port: 9090})
		in.Slices = []discoveryv1.EndpointSlice{old, young}
	}))
	counts := map[string]int32{}
	for _, p := range got.Advertisement.Ports {
		counts[p.Name] = p.ReadyBackends
	}
	if diff := cmp.Diff(map[string]int32{"http": 3, "admin": 1}, counts); diff != "" {
		t.Errorf("ready backends (-want +got):\n%s", diff)
	}
}

// TestUnnamedPort: a Service with one port need not name it; then the slice's port has the empty name.
func TestUnnamedPort(t *testing.T) {
	got := Advertise(payment(func(in *Input) {
		in.Service.Spec.Ports[0].Name = ""
		in.Slices = []discoveryv1.EndpointSlice{slice(v4, []string{""}, pod("a"))}
	}))
	if n := got.Advertisement.Ports[0].ReadyBackends; n != 1 {
		t.Errorf("ready backends = %d", n)
	}
}

func TestCountsStayOnPrevious(t *testing.T) {
	endpoints := func(n int) []discoveryv1.Endpoint {
		var out []discoveryv1.Endpoint
		for i := range n {
			out = append(out, pod(string(rune('a'+i%26))+string(rune('a'+i/26))))
		}
		return out
	}
	advertised := func(n int, previous *Result) *Result {
		r := Advertise(payment(func(in *Input) {
			in.Slices = []discoveryv1.EndpointSlice{slice(v4, []string{"http"}, endpoints(n)...)}
			if previous != nil {
				in.Previous = previous.Advertisement
			}
		}))
		return &r
	}
	var previous *Result
	for _, step := range []struct{ ready, want int32 }{{100, 100}, {104, 100}, {96, 100}, {111, 100}, {112, 110}, {100, 110}, {99, 100}, {10, 10}, {11, 10}, {12, 12}, {1, 1}, {0, 0}} {
		previous = advertised(int(step.ready), previous)
		if got := previous.Advertisement.Ports[0].ReadyBackends; got != step.want {
			t.Errorf("%d ready: advertised %d, want %d", step.ready, got, step.want)
		}
	}
}
