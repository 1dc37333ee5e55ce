// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// ringImport is a headless import with an HTTP port, whose endpoints have the addresses given, by "hostname.cluster".
func ringImport(families map[string][]corev1.IPFamily, vips map[EndpointKey][]string) LegInput {
	in := LegInput{
		Namespace: "stateful", Name: "ring",
		Policies:  []v1alpha1.WANPolicy{policy("high", 100)},
		Endpoints: map[EndpointKey]EndpointState{},
	}
	exports := map[string]*v1alpha1.ServiceAdvertisementSpec{}
	port := int32(10000)
	for key, ips := range vips {
		e := exports[key.Cluster]
		if e == nil {
			e = &v1alpha1.ServiceAdvertisementSpec{
				ClusterID: key.Cluster, Namespace: "stateful", Name: "ring", Type: "Headless", ExportedAt: start, WANPolicy: "high",
				IPFamilies: families[key.Cluster],
				Ports:      []v1alpha1.AdvertisedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, ReadyBackends: 1}},
			}
			exports[key.Cluster] = e
		}
		e.Endpoints = append(e.Endpoints, v1alpha1.AdvertisedEndpoint{Hostname: key.Hostname})
		in.Endpoints[key] = EndpointState{VIPs: ips, Ports: map[int32]LegPorts{8080: {Plain: port, MTLS: port + 1}}}
		port += 2
	}
	for _, e := range exports {
		in.Exports = append(in.Exports, *e)
	}
	in.Merged = mcs.Merge(in.Exports)
	return in
}

// slicesOf are the MCS EndpointSlices by source cluster and family, with their addresses.
func slicesOf(objects []Object) map[string][]string {
	out := map[string][]string{}
	for _, o := range objects {
		if s, ok := o.(*discoveryv1.EndpointSlice); ok {
			key := s.Labels[mcsv1beta1.LabelSourceCluster] + " " + string(s.AddressType)
			for _, e := range s.Endpoints {
				out[key] = append(out[key], *e.Hostname+"="+e.Addresses[0])
			}
		}
	}
	return out
}

func TestHeadlessFamilies(t *testing.T) {
	v4, v6 := corev1.IPv4Protocol, corev1.IPv6Protocol
	both := []string{"10.96.0.7", "fd00:96::7"}
	one := func(families ...corev1.IPFamily) map[string][]corev1.IPFamily {
		return map[string][]corev1.IPFamily{"c2": families, "c3": {v4, v6}}
	}
	for name, tc := range map[string]struct {
		families map[string][]corev1.IPFamily
		vips     []string
		want     []corev1.IPFamily
	}{
		"both everywhere":                     {one(v4, v6), both, []corev1.IPFamily{v4, v6}},
		"an exporter has one":                 {one(v6), both, []corev1.IPFamily{v6}},
		"the importer has one":                {one(v4, v6), both[:1], []corev1.IPFamily{v4}},
		"the importer has another":            {one(v6), both[:1], []corev1.IPFamily{v4}},
		"exporters that do not say any":       {nil, both, []corev1.IPFamily{v4, v6}},
		"an importer of the second kind only": {one(v4, v6), both[1:], []corev1.IPFamily{v6}},
	} {
		t.Run(name, func(t *testing.T) {
			out := Leg(ringImport(tc.families, map[EndpointKey][]string{{"c2", "ring-0"}: tc.vips, {"c3", "ring-0"}: tc.vips}))
			if !slices.Equal(out.Import.Spec.IPFamilies, tc.want) {
				t.Errorf("the import's families are %v, want %v", out.Import.Spec.IPFamilies, tc.want)
			}
			got := slicesOf(out.Objects)
			if len(got) != 2*len(tc.want) {
				t.Errorf("slices %v", got)
			}
			for _, f := range tc.want {
				if len(got["c2 "+string(f)]) != 1 || len(got["c3 "+string(f)]) != 1 {
					t.Errorf("slices %v lack %s", got, f)
				}
			}
		})
	}
}

func TestHeadlessWithoutAddressesYet(t *testing.T) {
	out := Leg(ringImport(nil, map[EndpointKey][]string{{"c2", "ring-0"}: nil}))
	if len(out.EndpointServices) != 1 || out.Service != nil {
		t.Errorf("the Services are to be written: %+v", out.EndpointServices)
	}
	for _, o := range out.Objects {
		if o.GetNamespace() != v1alpha1.Namespace {
			t.Errorf("%T %s/%s brings clients to an address that is not there", o, o.GetNamespace(), o.GetName())
		}
	}
	if out.Import.Status.EndpointSliceObjects != mcsv1beta1.EndpointSliceObjectsPresent || len(out.Import.Spec.IPs) > 0 {
		t.Errorf("import %+v", out.Import)
	}
}

func TestEndpointAsksForItsOldAddress(t *testing.T) {
	key := EndpointKey{"c2", "ring-0"}
	in := ringImport(nil, map[EndpointKey][]string{key: nil})
	state := in.Endpoints[key]
	state.Wanted = []string{"10.96.0.7"}
	in.Endpoints[key] = state
	if s := Leg(in).EndpointServices[0].Service; s.Spec.ClusterIP != "10.96.0.7" {
		t.Errorf("asks for %q", s.Spec.ClusterIP)
	}
}

func TestHeadlessOutOfPorts(t *testing.T) {
	first, second := EndpointKey{"c2", "ring-0"}, EndpointKey{"c2", "ring-1"}
	in := ringImport(nil, map[EndpointKey][]string{first: {"10.96.0.7"}, second: {"10.96.0.8"}})
	in.Endpoints[second] = EndpointState{}
	out := Leg(in)
	if out.Problem == nil || out.Problem.Reason != v1alpha1.ReasonOutOfPorts {
		t.Errorf("problem %+v", out.Problem)
	}
	if got := slicesOf(out.Objects)["c2 IPv4"]; !slices.Equal(got, []string{"ring-0=10.96.0.7"}) {
		t.Errorf("those that have ports go on, got %v", got)
	}
}

// A peer that is drained has no endpoint in the service's name while there are others; its endpoints keep their own names.
func TestHeadlessOfDrainedPeers(t *testing.T) {
	two, three := EndpointKey{"c2", "ring-0"}, EndpointKey{"c3", "ring-0"}
	for name, tc := range map[string]struct {
		drained []string
		gone    string // out of reach, or taken back
		want    []string
	}{
		"none":                    {nil, "", []string{"c2 IPv4", "c3 IPv4"}},
		"one":                     {[]string{"c2"}, "", []string{"c3 IPv4"}},
		"all":                     {[]string{"c2", "c3"}, "", []string{"c2 IPv4", "c3 IPv4"}},
		"one, and the other goes": {[]string{"c2"}, "c3", []string{"c2 IPv4"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := ringImport(nil, map[EndpointKey][]string{two: {"10.96.0.7"}, three: {"10.96.0.8"}})
			in.Drained = tc.drained
			for i := range in.Exports {
				in.Exports[i].Draining = in.Exports[i].ClusterID == tc.gone
			}
			out := Leg(in)
			if got := slices.Sorted(maps.Keys(slicesOf(out.Objects))); !slices.Equal(got, tc.want) {
				t.Errorf("slices %v, want %v", got, tc.want)
			}
			if legs := virtualServices(out.Objects); len(legs) != 2 {
				t.Errorf("%d legs", len(legs))
			}
		})
	}
}

func TestHeadlessRules(t *testing.T) {
	in := ringImport(nil, map[EndpointKey][]string{{"c2", "ring-0"}: {"10.96.0.7"}})
	in.Offered = []string{"high"}
	get := gatewayv1.HTTPMethodGet
	in.Rules = &mcwanv1alpha1.ServiceImport{}
	in.Rules.Spec.HTTP.Rules = []mcwanv1alpha1.HTTPRule{{Matches: []gatewayv1.HTTPRouteMatch{{Method: &get}}}}
	vs := virtualServices(Leg(in).Objects)
	if len(vs) != 1 {
		t.Fatalf("%d legs", len(vs))
	}
	routes := vs[0].Spec.Http
	if last := routes[len(routes)-1]; last.Name != nameDenied || last.DirectResponse.GetStatus() != forbidden {
		t.Errorf("what no rule matches is denied, also at an endpoint: %v", routes)
	}
}

// What the export says of failover holds for headless services as for others: Strict is Strict.
func TestHeadlessFailoverOfTheExport(t *testing.T) {
	in := ringImport(nil, map[EndpointKey][]string{{"c2", "ring-0"}: {"10.96.0.7"}})
	in.Exports[0].Failover = &v1alpha1.Failover{Mode: v1alpha1.FailoverStrict}
	in.Merged = mcs.Merge(in.Exports)
	want := PathKey{Policy: "high", Exporter: "c2", Failover: string(v1alpha1.FailoverStrict)}
	if got := Leg(in).Paths; !slices.Equal(got, []PathKey{want}) {
		t.Errorf("paths %+v, want %+v", got, want)
	}
}

func TestGatewaysOfAnotherFamily(t *testing.T) {
	for name, tc := range map[string]struct {
		vips, gateways []string
		problem        bool
	}{
		"the same":             {[]string{"10.96.0.7"}, []string{"10.2.0.5"}, false},
		"another":              {[]string{"10.96.0.7"}, []string{"2001:db8::5"}, true},
		"another, the new one": {[]string{"fd00:96::7"}, []string{"10.2.0.5", "10.2.0.6"}, true},
		"one of both":          {[]string{"10.96.0.7"}, []string{"2001:db8::5", "10.2.0.5"}, false},
		"both here":            {[]string{"10.96.0.7", "fd00:96::7"}, []string{"2001:db8::5"}, false},
		"no gateway known":     {[]string{"10.96.0.7"}, nil, false},
		"no address yet":       {nil, []string{"2001:db8::5"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			headless, whole := ringImport(nil, map[EndpointKey][]string{{"c2", "ring-0"}: tc.vips}), payment(map[string]int32{"c2": 1})
			headless.Gateways, whole.Gateways, whole.VIPs = tc.gateways, tc.gateways, tc.vips
			for _, in := range []LegInput{headless, whole} {
				got := Leg(in).Problem
				if (got != nil) != tc.problem || got != nil && got.Reason != "IPFamilyNotSupported" {
					t.Errorf("%s: %+v", in.Name, got)
				}
			}
		})
	}
}

// A Service of both families has its EndpointSlices one after the other, in whatever order, and the family of ours cannot
// change: the name says it.
func TestBackendSlicesAreNamedByFamily(t *testing.T) {
	slice := func(name string, family discoveryv1.AddressType, address string) discoveryv1.EndpointSlice {
		s := discoveryv1.EndpointSlice{AddressType: family, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}}}
		s.Name = name
		return s
	}
	six, four := slice("ring-a", discoveryv1.AddressTypeIPv6, "fd00::1"), slice("ring-b", discoveryv1.AddressTypeIPv4, "10.1.0.20")
	families := map[string]discoveryv1.AddressType{}
	for _, have := range [][]discoveryv1.EndpointSlice{{six}, {four, six}, {four}} {
		in := exported()
		in.Advertisement.Type = string(mcsv1beta1.Headless)
		in.Advertisement.Endpoints = []v1alpha1.AdvertisedEndpoint{{Hostname: "ring-0"}}
		in.Endpoints = []mcs.NamedEndpoint{{Hostname: "ring-0", Slices: have}}
		found := 0
		for _, o := range Export(in) {
			s, ok := o.(*discoveryv1.EndpointSlice)
			if !ok {
				continue
			}
			found++
			if before, known := families[s.Name]; known && before != s.AddressType {
				t.Errorf("%s was %s and is %s", s.Name, before, s.AddressType)
			}
			families[s.Name] = s.AddressType
		}
		if found != len(have) {
			t.Errorf("%d slices of %d", found, len(have))
		}
	}
}
