// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

func many[T any](n int, f func(int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

func manyKeys(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("key-%d", i)] = "v"
	}
	return out
}

// owned is a change of the rules that an advertisement carries.
func owned(change func(*mcwanv1alpha1.ServiceExportSpec)) func(*v1alpha1.ServiceAdvertisementSpec) {
	return func(s *v1alpha1.ServiceAdvertisementSpec) {
		s.Rules = &mcwanv1alpha1.ServiceExportSpec{HTTP: mcwanv1alpha1.HTTPRules{Rules: []mcwanv1alpha1.HTTPRule{{
			Matches: []gatewayv1.HTTPRouteMatch{{
				Path:    &gatewayv1.HTTPPathMatch{Value: new("/payment")},
				Headers: []gatewayv1.HTTPHeaderMatch{{Name: "x-tier", Value: "gold"}},
			}},
			BackendRefs: []mcwanv1alpha1.BackendRef{{Name: "payment-secure-high"}},
		}}}}
		change(s.Rules)
	}
}

func TestCheckAdvertisement(t *testing.T) {
	port := func(change func(*v1alpha1.AdvertisedPort)) func(*v1alpha1.ServiceAdvertisementSpec) {
		return func(s *v1alpha1.ServiceAdvertisementSpec) { change(&s.Ports[0]) }
	}
	second := func(p v1alpha1.AdvertisedPort) func(*v1alpha1.ServiceAdvertisementSpec) {
		return func(s *v1alpha1.ServiceAdvertisementSpec) { s.Ports = append(s.Ports, p) }
	}
	type spec = v1alpha1.ServiceAdvertisementSpec
	rows := []struct {
		name   string
		change func(*spec)
		reason string
	}{
		{"as it should be", func(*spec) {}, ""},
		{"another cluster", func(s *spec) { s.ClusterID = "c3" }, v1alpha1.RefusedCluster},
		{"no cluster", func(s *spec) { s.ClusterID = "" }, v1alpha1.RefusedCluster},
		{"ours", func(s *spec) { s.ClusterID = here }, v1alpha1.RefusedCluster},
		{"for newer readers", func(s *spec) { s.MinReader = v1alpha1.ReaderVersion + 1 }, v1alpha1.RefusedVersion},
		{"for this reader", func(s *spec) { s.MinReader = v1alpha1.ReaderVersion }, ""},
		{"for readers before the first", func(s *spec) { s.MinReader = math.MinInt32 }, v1alpha1.RefusedBounds},
		{"kube-system", func(s *spec) { s.Namespace = "kube-system" }, v1alpha1.RefusedNamespace},
		{"kube-anything", func(s *spec) { s.Namespace = "kube-anything" }, v1alpha1.RefusedNamespace},
		{"istio-system", func(s *spec) { s.Namespace = "istio-system" }, v1alpha1.RefusedNamespace},
		{"mc-wan", func(s *spec) { s.Namespace = "mc-wan" }, v1alpha1.RefusedNamespace},
		{"istiod's namespace", func(s *spec) { s.Namespace = "mesh" }, v1alpha1.RefusedNamespace},
		{"kubernetes is no kube-*", func(s *spec) { s.Namespace = "kubernetes" }, ""},
		{"namespace with a dot", func(s *spec) { s.Namespace = "a.b" }, v1alpha1.RefusedName},
		{"namespace with a slash", func(s *spec) { s.Namespace = "a/b" }, v1alpha1.RefusedName},
		{"no namespace", func(s *spec) { s.Namespace = "" }, v1alpha1.RefusedName},
		{"upper case", func(s *spec) { s.Name = "Payment" }, v1alpha1.RefusedName},
		{"long name", func(s *spec) { s.Name = strings.Repeat("x", 64) }, v1alpha1.RefusedName},
		{"name with a digit first", func(s *spec) { s.Name = "3scale" }, ""},
		{"no time", func(s *spec) { s.ExportedAt = metav1.Time{} }, v1alpha1.RefusedBounds},
		{"a time before computers", func(s *spec) { s.ExportedAt = metav1.Date(1, 1, 2, 0, 0, 0, 0, time.UTC) }, v1alpha1.RefusedBounds},
		{"a deadline that cannot be written", func(s *spec) { s.DrainDeadline = new(metav1.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) }, v1alpha1.RefusedBounds},
		{"another type", func(s *spec) { s.Type = "ExternalName" }, v1alpha1.RefusedBounds},
		{"headless without ports", func(s *spec) { s.Type, s.Ports = "Headless", nil }, ""},
		{"ClusterSetIP without ports", func(s *spec) { s.Ports = nil }, v1alpha1.RefusedPort},
		{"IPv5", func(s *spec) { s.IPFamilies = []corev1.IPFamily{"IPv5"} }, v1alpha1.RefusedBounds},
		{"a family twice", func(s *spec) { s.IPFamilies = []corev1.IPFamily{"IPv4", "IPv4"} }, v1alpha1.RefusedBounds},
		{"two families", func(s *spec) { s.IPFamilies = []corev1.IPFamily{"IPv6", "IPv4"} }, ""},
		{"port 0", port(func(p *v1alpha1.AdvertisedPort) { p.Port = 0 }), v1alpha1.RefusedPort},
		{"port 65536", port(func(p *v1alpha1.AdvertisedPort) { p.Port = 65536 }), v1alpha1.RefusedPort},
		{"port -1", port(func(p *v1alpha1.AdvertisedPort) { p.Port = -1 }), v1alpha1.RefusedPort},
		{"UDP", port(func(p *v1alpha1.AdvertisedPort) { p.Protocol = "UDP" }), ""},
		{"another protocol", port(func(p *v1alpha1.AdvertisedPort) { p.Protocol = "ICMP" }), v1alpha1.RefusedPort},
		{"no protocol", port(func(p *v1alpha1.AdvertisedPort) { p.Protocol = "" }), v1alpha1.RefusedPort},
		{"a port's name", port(func(p *v1alpha1.AdvertisedPort) { p.Name = "HTTP_1" }), v1alpha1.RefusedPort},
		{"one port without a name", port(func(p *v1alpha1.AdvertisedPort) { p.Name = "" }), ""},
		{"appProtocol", port(func(p *v1alpha1.AdvertisedPort) { p.AppProtocol = new("kubernetes.io/h2c") }), ""},
		{"an appProtocol that is none", port(func(p *v1alpha1.AdvertisedPort) { p.AppProtocol = new("h 2") }), v1alpha1.RefusedPort},
		{"what is no method", func(s *spec) { s.IdempotentMethods = []string{"PUT", "post|GET"} }, v1alpha1.RefusedBounds},
		{"too many methods", func(s *spec) { s.IdempotentMethods = strings.Split("A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q", ",") }, v1alpha1.RefusedBounds},
		{"a method twice", func(s *spec) { s.IdempotentMethods = []string{"PUT", "PUT"} }, v1alpha1.RefusedBounds},
		{"negative backends", port(func(p *v1alpha1.AdvertisedPort) { p.ReadyBackends = -1 }), v1alpha1.RefusedBounds},
		{"too many backends", port(func(p *v1alpha1.AdvertisedPort) { p.ReadyBackends = math.MaxInt32 }), v1alpha1.RefusedBounds},
		{"two ports", second(v1alpha1.AdvertisedPort{Name: "dns", Protocol: "UDP", Port: 8080}), ""},
		{"a port twice", second(v1alpha1.AdvertisedPort{Name: "http2", Protocol: "TCP", Port: 8080}), v1alpha1.RefusedPort},
		{"a port's name twice", second(v1alpha1.AdvertisedPort{Name: "http", Protocol: "TCP", Port: 8081}), v1alpha1.RefusedPort},
		{"a second port without a name", second(v1alpha1.AdvertisedPort{Protocol: "TCP", Port: 8081}), v1alpha1.RefusedPort},
		{"251 ports", func(s *spec) {
			s.Ports = many(251, func(i int) v1alpha1.AdvertisedPort {
				return v1alpha1.AdvertisedPort{Name: fmt.Sprintf("p%d", i), Protocol: "TCP", Port: int32(i + 1)}
			})
		}, v1alpha1.RefusedBounds},
		{"affinity", func(s *spec) { s.SessionAffinity = "ClientIP" }, ""},
		{"another affinity", func(s *spec) { s.SessionAffinity = "Cookie" }, v1alpha1.RefusedBounds},
		{"affinity for ever", func(s *spec) {
			s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(86401))}}
		}, v1alpha1.RefusedBounds},
		{"affinity without numbers", func(s *spec) {
			s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{}}
		}, ""},
		{"internalTrafficPolicy", func(s *spec) { s.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicy("Everywhere")) }, v1alpha1.RefusedBounds},
		{"trafficDistribution", func(s *spec) { s.TrafficDistribution = new("PreferClose") }, ""},
		{"trafficDistribution with spaces", func(s *spec) { s.TrafficDistribution = new("as you like") }, v1alpha1.RefusedBounds},
		{"labels", func(s *spec) { s.ExportedLabels = map[string]string{"app.kubernetes.io/name": "x"} }, ""},
		{"too many labels", func(s *spec) { s.ExportedLabels = manyKeys(65) }, v1alpha1.RefusedBounds},
		{"a label's value", func(s *spec) { s.ExportedLabels = map[string]string{"a": "not a value"} }, v1alpha1.RefusedBounds},
		{"a label's key", func(s *spec) { s.ExportedLabels = map[string]string{"a/b/c": "x"} }, v1alpha1.RefusedBounds},
		{"a label of ours", func(s *spec) { s.ExportedLabels = map[string]string{v1alpha1.LabelPart: "leg"} }, v1alpha1.RefusedBounds},
		{"an annotation of ours", func(s *spec) { s.ExportedAnnotations = map[string]string{"MC-WAN.L7mp.io/x": "y"} }, v1alpha1.RefusedBounds},
		{"large annotations", func(s *spec) { s.ExportedAnnotations = map[string]string{"a": strings.Repeat("x", 17<<10)} }, v1alpha1.RefusedBounds},
		{"a policy", func(s *spec) { s.WANPolicy = "sd-wan-priority-high" }, ""},
		{"rules", owned(func(*mcwanv1alpha1.ServiceExportSpec) {}), ""},
		{"rules without a rule", owned(func(r *mcwanv1alpha1.ServiceExportSpec) { r.HTTP.Rules = nil }), v1alpha1.RefusedBounds},
		{"17 rules", owned(func(r *mcwanv1alpha1.ServiceExportSpec) { r.HTTP.Rules = make([]mcwanv1alpha1.HTTPRule, 17) }), v1alpha1.RefusedBounds},
		{"large rules", owned(func(r *mcwanv1alpha1.ServiceExportSpec) {
			r.HTTP.Rules[0].Matches[0].Headers[0].Value = strings.Repeat("x", v1alpha1.MaxRulesBytes)
		}), v1alpha1.RefusedBounds},
		{"rules for some other consumers", owned(func(r *mcwanv1alpha1.ServiceExportSpec) { r.ConsumerRules = "Sometimes" }), v1alpha1.RefusedBounds},
		{"a rule's path without a slash", owned(func(r *mcwanv1alpha1.ServiceExportSpec) { r.HTTP.Rules[0].Matches[0].Path.Value = new("x") }), v1alpha1.RefusedBounds},
		{"a rule's method", owned(func(r *mcwanv1alpha1.ServiceExportSpec) {
			r.HTTP.Rules[0].Matches[0].Method = new(gatewayv1.HTTPMethod("GET POST"))
		}), v1alpha1.RefusedBounds},
		{"a rule's header", owned(func(r *mcwanv1alpha1.ServiceExportSpec) { r.HTTP.Rules[0].Matches[0].Headers[0].Name = ":authority" }), v1alpha1.RefusedBounds},
		{"a rule's header with a line break", owned(func(r *mcwanv1alpha1.ServiceExportSpec) {
			r.HTTP.Rules[0].Matches[0].Headers[0].Value = "a\nb"
		}), v1alpha1.RefusedBounds},
		{"a rule's backendRef", owned(func(r *mcwanv1alpha1.ServiceExportSpec) { r.HTTP.Rules[0].BackendRefs[0].Name = "A B" }), v1alpha1.RefusedBounds},
		{"a rule's weight", owned(func(r *mcwanv1alpha1.ServiceExportSpec) { r.HTTP.Rules[0].BackendRefs[0].Weight = new(int32(-1)) }), v1alpha1.RefusedBounds},
		{"a rule that tries for ever", owned(func(r *mcwanv1alpha1.ServiceExportSpec) {
			r.HTTP.Rules[0].Retry = &gatewayv1.HTTPRouteRetry{Attempts: new(1000)}
		}), v1alpha1.RefusedBounds},
		{"a filter's header", owned(func(r *mcwanv1alpha1.ServiceExportSpec) {
			r.HTTP.Rules[0].Filters = []gatewayv1.HTTPRouteFilter{{RequestHeaderModifier: &gatewayv1.HTTPHeaderFilter{Remove: []string{":path"}}}}
		}), v1alpha1.RefusedBounds},
		{"a policy that is no name", func(s *spec) { s.WANPolicy = "../high" }, v1alpha1.RefusedName},
	}
	rules := feed.Rules{Peer: peerSpec(there), Protected: []string{"mesh"}}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			adv := advertisement(there, "secure", "payment")
			row.change(&adv)
			before := adv.DeepCopy()
			refusal, ok := feed.CheckAdvertisement(rules, &adv)
			if ok != (row.reason == "") || refusal.Reason != row.reason {
				t.Errorf("%v %+v, want %q", ok, refusal, row.reason)
			}
			if !ok && (refusal.Message == "" || refusal.Name == "") {
				t.Errorf("refusal %+v does not say what to do", refusal)
			}
			if !reflect.DeepEqual(before, &adv) {
				t.Error("the check changed what it checked")
			}
		})
	}
}

func TestNamespaceAllowed(t *testing.T) {
	only := peerSpec(there)
	only.Namespaces = []string{"shop", "kube-public"}
	for ns, want := range map[string]bool{"shop": true, "secure": false, "kube-public": false, "": false} {
		if got := feed.NamespaceAllowed(feed.Rules{Peer: only}, ns); got != want {
			t.Errorf("%q: %v", ns, got)
		}
	}
	only.Namespaces = nil
	if feed.NamespaceAllowed(feed.Rules{Peer: only}, "shop") {
		t.Error("a Peer without namespaces allows none")
	}
}

func TestCheckCard(t *testing.T) {
	type card = v1alpha1.ClusterAdvertisementSpec
	address := func(a ...string) func(*card) { return func(c *card) { c.Addresses = a } }
	policies := func(p ...v1alpha1.OfferedPolicy) func(*card) { return func(c *card) { c.Policies = p } }
	rows := []struct {
		name   string
		change func(*card)
		reason string
	}{
		{"as it should be", func(*card) {}, ""},
		{"another cluster", func(c *card) { c.ClusterID = "c3" }, v1alpha1.RefusedCluster},
		{"no uid", func(c *card) { c.ClusterUID = "" }, v1alpha1.RefusedBounds},
		{"a long uid", func(c *card) { c.ClusterUID = strings.Repeat("x", 65) }, v1alpha1.RefusedBounds},
		{"a uid that is none", func(c *card) { c.ClusterUID = "a\nb" }, v1alpha1.RefusedBounds},
		{"another uid", func(c *card) { c.ClusterUID = "other" }, v1alpha1.ReasonUIDMismatch},
		{"another egress identity", func(c *card) { c.Identities.Egress = identities("c3").Egress }, v1alpha1.ReasonIdentityMismatch},
		{"another ingress identity", func(c *card) { c.Identities.Ingress = identities("c3").Ingress }, v1alpha1.ReasonIdentityMismatch},
		{"generation 0", func(c *card) { c.Generation = 0 }, v1alpha1.RefusedBounds},
		{"the last generation", func(c *card) { c.Generation = math.MaxInt64 }, ""},
		{"a negative count", func(c *card) { c.Advertisements = -1 }, v1alpha1.RefusedBounds},
		{"a negative reader", func(c *card) { c.Versions.Reader = -1 }, v1alpha1.RefusedBounds},
		{"a root that is none", func(c *card) { c.TrustRoot = "\x00" }, v1alpha1.RefusedBounds},
		{"a long version", func(c *card) { c.Versions.Istio = strings.Repeat("1", 65) }, v1alpha1.RefusedBounds},
		{"no address", address(), ""},
		{"IPv6", address("2001:db8::1"), ""},
		{"a name", address("example.org"), v1alpha1.RefusedAddress},
		{"a long name", address(strings.Repeat("x", 1<<20)), v1alpha1.RefusedAddress},
		{"127.0.0.1", address("10.2.0.1", "127.0.0.1"), v1alpha1.RefusedAddress},
		{"127.1.2.3", address("127.1.2.3"), v1alpha1.RefusedAddress},
		{"::1", address("::1"), v1alpha1.RefusedAddress},
		{"0.0.0.0", address("0.0.0.0"), v1alpha1.RefusedAddress},
		{"0.1.2.3", address("0.1.2.3"), v1alpha1.RefusedAddress},
		{"::", address("::"), v1alpha1.RefusedAddress},
		{"link-local", address("169.254.169.254"), v1alpha1.RefusedAddress},
		{"link-local IPv6", address("fe80::1"), v1alpha1.RefusedAddress},
		{"a zone", address("fe80::1%eth0"), v1alpha1.RefusedAddress},
		{"multicast", address("224.0.0.1"), v1alpha1.RefusedAddress},
		{"multicast IPv6", address("ff02::1"), v1alpha1.RefusedAddress},
		{"broadcast", address("255.255.255.255"), v1alpha1.RefusedAddress},
		{"loopback as IPv6", address("::ffff:127.0.0.1"), v1alpha1.RefusedAddress},
		{"a ClusterIP", address("10.96.0.1"), v1alpha1.RefusedAddress},
		{"an address twice", address("10.2.0.1", "10.2.0.1"), v1alpha1.RefusedAddress},
		{"another spelling", address("2001:0db8::1"), v1alpha1.RefusedAddress},
		{"33 addresses", address(many(33, func(i int) string { return fmt.Sprintf("10.2.0.%d", i+1) })...), v1alpha1.RefusedBounds},
		{"a policy's name", policies(v1alpha1.OfferedPolicy{Name: "High", Port: 1}), v1alpha1.RefusedName},
		{"a tunnel's name", policies(v1alpha1.OfferedPolicy{Name: "high", Tunnel: "a b", Port: 1}), v1alpha1.RefusedName},
		{"a policy's port", policies(v1alpha1.OfferedPolicy{Name: "high", Port: 65536}), v1alpha1.RefusedPort},
		{"two policies on a port", policies(v1alpha1.OfferedPolicy{Name: "a", Port: 1}, v1alpha1.OfferedPolicy{Name: "b", Port: 1}), v1alpha1.RefusedPort},
		{"a policy twice", policies(v1alpha1.OfferedPolicy{Name: "a", Port: 1}, v1alpha1.OfferedPolicy{Name: "a", Port: 2}), v1alpha1.RefusedPort},
		{"65 policies", policies(many(65, func(i int) v1alpha1.OfferedPolicy {
			return v1alpha1.OfferedPolicy{Name: fmt.Sprintf("p%d", i), Port: int32(i + 1)}
		})...), v1alpha1.RefusedBounds},
		{"4097 acknowledgements", func(c *card) { c.Drained = make([]v1alpha1.DrainAck, 4097) }, v1alpha1.RefusedBounds},
		{"an acknowledgement without a name", func(c *card) { c.Drained = make([]v1alpha1.DrainAck, 1) }, v1alpha1.RefusedName},
	}
	peer := peerSpec(there)
	peer.ClusterUID = "uid-" + there
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			card := cardSpec(there, 1, 1)
			row.change(&card)
			refusal, ok := feed.CheckCard(feed.Rules{Peer: peer, OwnAddress: isClusterIP}, &card)
			if ok != (row.reason == "") || refusal.Reason != row.reason {
				t.Errorf("%v %+v, want %q", ok, refusal, row.reason)
			}
			if !ok && (refusal.Message == "" || len(refusal.Message) > 400) {
				t.Errorf("refusal %+v", refusal)
			}
		})
	}
}
