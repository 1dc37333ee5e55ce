// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"maps"
	"slices"
	"strings"
	"testing"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// payment is an import with an HTTP port, exported by the clusters with the given ready backends.
func payment(ready map[string]int32) LegInput {
	in := LegInput{
		Namespace: "secure", Name: "payment",
		Policies: []v1alpha1.WANPolicy{policy("high", 100), policy("low", 300)},
		Ports:    map[int32]LegPorts{8080: {Plain: 10000, MTLS: 10001}},
		VIPs:     []string{"10.96.7.7"},
	}
	for c, n := range ready {
		in.Exports = append(in.Exports, v1alpha1.ServiceAdvertisementSpec{
			ClusterID: c, Namespace: "secure", Name: "payment", Type: "ClusterSetIP", ExportedAt: start, WANPolicy: "high",
			Ports: []v1alpha1.AdvertisedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, ReadyBackends: n}},
		})
	}
	in.Merged = mcs.Merge(in.Exports)
	return in
}

func virtualServices(objects []Object) []*networkingv1.VirtualService {
	var out []*networkingv1.VirtualService
	for _, o := range objects {
		if vs, ok := o.(*networkingv1.VirtualService); ok {
			out = append(out, vs)
		}
	}
	return out
}

func TestLegWithoutVIPHasNothingThatBringsClients(t *testing.T) {
	in := payment(map[string]int32{"c2": 1})
	in.VIPs = nil
	out := Leg(in)
	if out.Service == nil || len(out.Import.Spec.IPs) != 0 || out.Import.Status.EndpointSliceObjects != mcsv1beta1.EndpointSliceObjectsAbsent {
		t.Errorf("the Service is to be written, the import has no address yet: %+v", out.Import)
	}
	for _, o := range out.Objects {
		if o.GetNamespace() != v1alpha1.Namespace {
			t.Errorf("%T %s/%s brings clients to an address that is not there", o, o.GetNamespace(), o.GetName())
		}
	}
}

func TestLegAsksForItsOldAddress(t *testing.T) {
	in := payment(map[string]int32{"c2": 1})
	in.Wanted = []string{"10.96.7.7"}
	if s := Leg(in).Service; s.Spec.ClusterIP != "" {
		t.Errorf("a Service that has its address is left alone, got %s", s.Spec.ClusterIP)
	}
	in.VIPs = nil
	if s := Leg(in).Service; s.Spec.ClusterIP != "10.96.7.7" || !slices.Equal(s.Spec.ClusterIPs, in.Wanted) {
		t.Errorf("a new Service asks for the import's address, got %s", s.Spec.ClusterIP)
	}
}

func TestLegOutOfPorts(t *testing.T) {
	in := payment(map[string]int32{"c2": 1})
	in.Ports = nil
	out := Leg(in)
	if len(out.Objects) != 0 || !slices.Equal(out.Unallocated, []int32{8080}) {
		t.Errorf("without ports there is no leg: %+v", out)
	}
	if out.Problem == nil || out.Problem.Reason != v1alpha1.ReasonOutOfPorts || !strings.Contains(out.Problem.Message, "8080") {
		t.Errorf("it has to be told: %+v", out.Problem)
	}
}

// An import that has an address keeps it while it has no port that could be carried.
func TestAddressOutlivesThePorts(t *testing.T) {
	in := payment(map[string]int32{"c2": 1})
	for i := range in.Merged.Ports {
		in.Merged.Ports[i].Protocol = corev1.ProtocolUDP
	}
	out := Leg(in)
	if len(out.Objects) != 0 || out.Service == nil || len(out.Service.Spec.Ports) != 1 || !slices.Equal(out.Import.Spec.IPs, in.VIPs) {
		t.Errorf("objects %v, Service %+v, ips %v", out.Objects, out.Service, out.Import.Spec.IPs)
	}
	in.Wanted, in.VIPs = in.VIPs, nil
	if s := Leg(in).Service; s == nil || s.Spec.ClusterIP != in.Wanted[0] {
		t.Errorf("a Service that is gone is made anew with the import's address: %+v", s)
	}
	in.Wanted = nil
	if out := Leg(in); out.Service != nil || len(out.Import.Spec.IPs) != 0 {
		t.Errorf("what never had an address gets none: %+v", out.Service)
	}
}

// The EndpointSlice of a cluster that is going, or out of reach, is not ready while there are others.
func TestSlicesOfDrainingClusters(t *testing.T) {
	ready := func(in LegInput) map[string]bool {
		out := map[string]bool{}
		for _, o := range Leg(in).Objects {
			if s, ok := o.(*discoveryv1.EndpointSlice); ok {
				out[s.Labels[mcsv1beta1.LabelSourceCluster]] = *s.Endpoints[0].Conditions.Ready
			}
		}
		return out
	}
	in := payment(map[string]int32{"c2": 1, "c3": 1})
	drain := func(id string) {
		for i := range in.Exports {
			in.Exports[i].Draining = in.Exports[i].Draining || in.Exports[i].ClusterID == id
		}
	}
	for _, step := range []struct {
		drain string
		want  map[string]bool
	}{{"", map[string]bool{"c2": true, "c3": true}}, {"c2", map[string]bool{"c2": false, "c3": true}}, {"c3", map[string]bool{"c2": true, "c3": true}}} {
		drain(step.drain)
		if got := ready(in); !maps.Equal(got, step.want) {
			t.Errorf("%s drains: ready %v, want %v", step.drain, got, step.want)
		}
	}
}

// What cuts this cluster off takes all others along: its own backends stand in for each of them.
func TestOwnClusterBacksUpOthers(t *testing.T) {
	in := payment(map[string]int32{"c1": 1, "c2": 1, "c3": 1})
	in.Self.ID = "c1"
	want := []PathKey{
		{Policy: "high", Exporter: "c1", Backup: "c2"}, {Policy: "high", Exporter: "c2", Backup: "c1"}, {Policy: "high", Exporter: "c3", Backup: "c1"},
	}
	if out := Leg(in); !slices.Equal(out.Paths, want) {
		t.Errorf("got %v, want %v", out.Paths, want)
	}
	in = payment(map[string]int32{"c1": 0, "c2": 1, "c3": 1})
	in.Self.ID = "c1"
	want = []PathKey{{Policy: "high", Exporter: "c2", Backup: "c3"}, {Policy: "high", Exporter: "c3", Backup: "c2"}}
	if out := Leg(in); !slices.Equal(out.Paths, want) {
		t.Errorf("without a backend here: got %v, want %v", out.Paths, want)
	}
}

func TestLegWithoutPolicyUsesNoTunnel(t *testing.T) {
	in := payment(map[string]int32{"c2": 1})
	in.Merged.WANPolicy = ""
	out := Leg(in)
	if out.Problem == nil || out.Problem.Reason != v1alpha1.ReasonNoDefaultPolicy || len(out.Paths) != 0 {
		t.Errorf("no policy, no path: %+v %v", out.Problem, out.Paths)
	}
	vs := virtualServices(out.Objects)
	if len(vs) != 1 || len(vs[0].Spec.Http) != 1 || vs[0].Spec.Http[0].DirectResponse.GetStatus() != 503 {
		t.Errorf("clients are told: %v", vs)
	}
}

// Weights follow only what they must: three paths of one leg, their backups in a ring, hysteresis across calls.
func TestLegPathsAndWeights(t *testing.T) {
	in := payment(map[string]int32{"c2": 2, "c3": 1, "c4": 1, "c5": 0})
	out := Leg(in)
	want := []PathKey{
		{Policy: "high", Exporter: "c2", Backup: "c3"}, {Policy: "high", Exporter: "c3", Backup: "c4"}, {Policy: "high", Exporter: "c4", Backup: "c2"},
	}
	if !slices.Equal(out.Paths, want) {
		t.Errorf("got %v, want %v", out.Paths, want)
	}
	if got := out.Shares[8080].String(); got != "c2=50,c3=25,c4=25" {
		t.Errorf("got %s", got)
	}
	for _, h := range virtualServices(out.Objects)[0].Spec.Http {
		sum := int32(0)
		for _, r := range h.Route {
			sum += r.Weight
		}
		if sum != whole || h.Timeout != nil || h.Retries.PerTryTimeout != nil {
			t.Errorf("weights sum to 100 and shared paths have no timeouts: %v", h)
		}
	}
	next := payment(map[string]int32{"c2": 21, "c3": 10, "c4": 9, "c5": 0})
	next.Previous = map[int32]Shares{8080: out.Shares[8080]}
	if got := Leg(next).Shares[8080].String(); got != "c2=50,c3=25,c4=25" {
		t.Errorf("scaling within an eighth moves no weight, got %s", got)
	}
}

func match(method string) *networkingv1alpha3.HTTPMatchRequest {
	m := &networkingv1alpha3.HTTPMatchRequest{Uri: &networkingv1alpha3.StringMatch{MatchType: &networkingv1alpha3.StringMatch_Prefix{Prefix: "/payment"}}}
	if method != "" {
		m.Method = &networkingv1alpha3.StringMatch{MatchType: &networkingv1alpha3.StringMatch_Exact{Exact: method}}
	}
	return m
}

// A route with matches of its own is split by method the same way: what is repeated after a reset is idempotent.
func TestRoutesAreSplitByMethod(t *testing.T) {
	l := leg{namespace: "secure", name: "payment", policy: "high", shares: Shares{"c2": 100}}
	for _, tc := range []struct {
		name    string
		matches []*networkingv1alpha3.HTTPMatchRequest
		owners  []string
		want    []string
	}{
		{"everything", nil, nil, []string{retryIdempotent + " GET|HEAD|OPTIONS", retryOthers + " "}},
		{"any method", []*networkingv1alpha3.HTTPMatchRequest{match("")}, nil, []string{retryIdempotent + " GET|HEAD|OPTIONS", retryOthers + " "}},
		{"GET", []*networkingv1alpha3.HTTPMatchRequest{match("GET")}, nil, []string{retryIdempotent + " GET"}},
		{"POST", []*networkingv1alpha3.HTTPMatchRequest{match("POST")}, nil, []string{retryOthers + " POST"}},
		{"GET or POST", []*networkingv1alpha3.HTTPMatchRequest{match("GET"), match("POST")}, nil, []string{retryIdempotent + " GET", retryOthers + " POST"}},
		{"PUT", []*networkingv1alpha3.HTTPMatchRequest{match("PUT")}, nil, []string{retryOthers + " PUT"}},
		{"PUT that may be repeated", []*networkingv1alpha3.HTTPMatchRequest{match("PUT")}, []string{"PUT"}, []string{retryIdempotent + " PUT"}},
		{"everything, of which DELETE may be repeated too", nil, []string{"DELETE"}, []string{retryIdempotent + " GET|HEAD|OPTIONS|DELETE", retryOthers + " "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l.merged.Idempotent = tc.owners
			var got []string
			for _, h := range l.httpRoutes(route{matches: tc.matches, policies: over("high")}) {
				method := ""
				for _, m := range h.Match {
					method += m.GetMethod().GetExact() + m.GetMethod().GetRegex()
				}
				got = append(got, h.Retries.RetryOn+" "+method)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	denied := l.httpRoutes(route{matches: []*networkingv1alpha3.HTTPMatchRequest{match("")}, status: 403})
	if len(denied) != 1 || denied[0].DirectResponse.GetStatus() != 403 || len(denied[0].Route) != 0 {
		t.Errorf("a denied match is answered, whatever the method: %v", denied)
	}
}

// A redirect that says no port keeps the one that the client called, not that of the listener.
func TestRedirectKeepsThePort(t *testing.T) {
	code := 301
	r := rule{match: matcher{kind: "Exact", path: "/moved"}, changes: changes{redirect: &gatewayv1.HTTPRequestRedirectFilter{StatusCode: &code}}}
	l := leg{namespace: "secure", name: "payment", policy: "high", shares: Shares{"c2": 100}, rules: []rule{r}}
	l.port.Port = 8080
	out := l.httpRoutes(l.routes()[0])
	if len(out) != 1 || out[0].Redirect.GetPort() != 8080 || out[0].Redirect.RedirectCode != 301 || len(out[0].Route) != 0 {
		t.Errorf("got %v", out)
	}
}

func TestProtocols(t *testing.T) {
	app := func(s string) *string { return &s }
	for _, tc := range []struct {
		port mcsv1beta1.ServicePort
		want string
	}{
		{mcsv1beta1.ServicePort{Name: "http"}, protocolHTTP},
		{mcsv1beta1.ServicePort{Name: "http-web"}, protocolHTTP},
		{mcsv1beta1.ServicePort{Name: "HTTP2-x"}, protocolHTTP2},
		{mcsv1beta1.ServicePort{Name: "grpc"}, protocolGRPC},
		{mcsv1beta1.ServicePort{Name: "grpc-web"}, protocolGRPCWeb},
		{mcsv1beta1.ServicePort{Name: "grpc-web-x"}, protocolGRPCWeb},
		{mcsv1beta1.ServicePort{Name: "grpcx"}, protocolTCP},
		{mcsv1beta1.ServicePort{Name: "https"}, protocolTCP},
		{mcsv1beta1.ServicePort{Name: "tls"}, protocolTCP},
		{mcsv1beta1.ServicePort{Name: "mongo"}, protocolTCP},
		{mcsv1beta1.ServicePort{Name: "web"}, protocolTCP},
		{mcsv1beta1.ServicePort{}, protocolTCP},
		{mcsv1beta1.ServicePort{Name: "http", AppProtocol: app("tcp")}, protocolTCP},
		{mcsv1beta1.ServicePort{Name: "tcp", AppProtocol: app("http")}, protocolHTTP},
		{mcsv1beta1.ServicePort{Name: "http", AppProtocol: app("")}, protocolTCP},
		{mcsv1beta1.ServicePort{AppProtocol: app("kubernetes.io/h2c")}, protocolHTTP2},
		{mcsv1beta1.ServicePort{AppProtocol: app("kubernetes.io/ws")}, protocolHTTP},
		{mcsv1beta1.ServicePort{AppProtocol: app("kubernetes.io/wss")}, protocolTCP},
	} {
		if got := protocolOf(tc.port); got != tc.want {
			t.Errorf("%+v is %s, want %s", tc.port, got, tc.want)
		}
	}
}
