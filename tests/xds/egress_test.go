// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
)

func plain(port int, protocol simulation.Protocol, host string) simulation.Call {
	return simulation.Call{Port: port, Protocol: protocol, HostHeader: host, CallMode: simulation.CallModeGateway}
}

func mtls(port int, protocol simulation.Protocol, host, sni string) simulation.Call {
	c := plain(port, protocol, host)
	c.TLS, c.Sni = simulation.MTLS, sni
	return c
}

// legAnswers are the two routes of an HTTP leg: what is idempotent is repeated after a reset as well.
func legAnswers(wire string, clusters map[string]int) []answer {
	leg := answer{
		Clusters: clusters, Authority: wire, Methods: "GET|HEAD|OPTIONS",
		RetryOn: "connect-failure,refused-stream,reset,envoy-ratelimited", Retries: 5, NextRank: true,
		Sets:    []string{"x-forwarded-host=%REQ(:AUTHORITY)%", "x-mcw-source=%DOWNSTREAM_PEER_URI_SAN%"},
		Removes: []string{"x-mcw-peer", "x-mcw-source"},
		Hides:   []string{"x-envoy-ratelimited"},
	}
	others := leg
	others.Methods, others.RetryOn = "", "connect-failure,refused-stream,reset-before-request,envoy-ratelimited"
	return []answer{leg, others}
}

// A leg's listeners belong to one service port, whatever Host a client sends, with and without a sidecar: by weight over
// paths, with the wire name as authority, without timeouts.
func TestLeg(t *testing.T) {
	p := start(t, "two-exporters").egress()
	want := legAnswers("p8080.payment.secure.svc.clusterset.local", map[string]int{
		"path-sd-wan-priority-high-cluster-1-cluster-2": 25,
		"path-sd-wan-priority-high-cluster-2-cluster-1": 75,
	})
	for _, host := range []string{payment, payment + ":8080", "payment-other.secure.svc.clusterset.local", "example.org", "10.96.7.7:8080"} {
		for _, c := range []simulation.Call{
			plain(10002, simulation.HTTP, host), plain(10002, simulation.HTTP2, host),
			mtls(10003, simulation.HTTP2, host, "outbound_.8080_._."+payment),
		} {
			if diff := cmp.Diff(want, p.answers(c)); diff != "" {
				t.Errorf("port %d, Host %s (- want, + got):\n%s", c.Port, host, diff)
			}
		}
	}
}

// At the egress gateway what both exporters name is repeated after a reset, PUT; at the ingress gateway what its own
// cluster's export names, DELETE as well.
func TestIdempotentMethods(t *testing.T) {
	m := start(t, "idempotent")
	egress, ingress := m.egress(), m.ingress()
	leg := egress.routesFor(plain(10000, simulation.HTTP, payment))
	wire := ingress.routesFor(mtls(31111, simulation.HTTP2, "p8080.payment.secure.svc.clusterset.local", wan))
	for method, repeated := range map[string]struct{ egress, ingress bool }{
		"GET": {true, true}, "PUT": {true, true}, "DELETE": {false, true}, "POST": {false, false},
	} {
		r := request{method: method, path: "/"}
		for _, at := range []struct {
			gateway  string
			found    *route.Route
			repeated bool
		}{
			{"egress", egress.first(leg, r), repeated.egress}, {"ingress", ingress.first(wire, r), repeated.ingress},
		} {
			on := strings.Split(at.found.GetRoute().GetRetryPolicy().GetRetryOn(), ",")
			if slices.Contains(on, "reset") != at.repeated || !slices.Contains(on, "connect-failure") {
				t.Errorf("%s at the %s gateway is repeated upon %v", method, at.gateway, on)
			}
		}
	}
}

func TestLegRefuses(t *testing.T) {
	p := start(t, "two-exporters").egress()
	for _, tc := range []struct {
		name string
		call simulation.Call
		err  error
	}{
		{"plain text at an mTLS listener", plain(10003, simulation.HTTP, payment), simulation.ErrTLSError},
		{"mTLS at a plain listener", mtls(10002, simulation.HTTP, payment, payment), simulation.ErrProtocolError},
		{"plain text at the mTLS listener of a TCP leg", plain(10001, simulation.TCP, ""), simulation.ErrTLSError},
		{"a port of nobody", plain(10004, simulation.HTTP, payment), simulation.ErrNoListener},
		{"the service's own port", plain(8080, simulation.HTTP, payment), simulation.ErrNoListener},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := p.sim.Run(tc.call); got.Error != tc.err { //nolint:errorlint // the simulation returns them as they are
				t.Errorf("got %v and cluster %q, want %v", got.Error, got.ClusterMatched, tc.err)
			}
		})
	}
}

func TestTCPLeg(t *testing.T) {
	p := start(t, "two-exporters").egress()
	const path = "path-tcp-payment-secure-5432-sd-wan-priority-h"
	for _, c := range []simulation.Call{
		plain(10000, simulation.TCP, ""), mtls(10001, simulation.TCP, "", "outbound_.5432_._."+payment),
	} {
		if got := p.sim.Run(c); got.Error != nil || short(got.ClusterMatched) != path {
			t.Errorf("port %d leads to %q, %v", c.Port, got.ClusterMatched, got.Error)
		}
	}
	// Shares are endpoint weights within each tunnel's priority, three to one.
	want := []string{
		"0 10.11.0.5:31111 1500", "0 10.12.0.5:31111 4500",
		"1 10.11.0.5:31112 1500", "1 10.12.0.5:31112 4500",
	}
	if got := p.hops(path); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if context := upstreamTLS(t, p.cluster(path)); context.Sni != "p5432.payment.secure.tcp.clusterset.local" {
		t.Errorf("the server name is %s", context.Sni)
	}
	for _, port := range []string{"0.0.0.0_10000", "0.0.0.0_10001"} {
		proxy := tcpProxyOf(t, p, port)
		attempts, pause := proxy.GetMaxConnectAttempts().GetValue(), proxy.GetBackoffOptions().GetBaseInterval().AsDuration()
		if attempts != 16 || pause != 25*time.Millisecond {
			t.Errorf("listener %s tries %d times to connect, first after %v", port, attempts, pause)
		}
	}
}

func tcpProxyOf(t *testing.T, p proxy, listener string) *tcpproxy.TcpProxy {
	t.Helper()
	l := xdstest.ExtractListener(listener, p.sim.Listeners)
	if l == nil || len(l.FilterChains) == 0 {
		t.Fatalf("no listener %s among %v", listener, xdstest.ExtractListenerNames(p.sim.Listeners))
	}
	return xdstest.ExtractTCPProxy(t, l.FilterChains[0])
}

// The order of a path's hops, as Envoy gets it.
func TestPathsAreOrdered(t *testing.T) {
	for _, tc := range []struct {
		name string
		path string
		want []string
	}{
		{"three-clusters", "path-sd-wan-priority-high-cluster-2-cluster-3", []string{
			"0 10.12.0.5:31111", "1 10.12.0.5:31113", "2 10.13.0.5:31111", "3 10.13.0.5:31113",
			"4 10.12.0.5:31112", "5 10.13.0.5:31112", "6 10.12.0.5:31110", "7 10.13.0.5:31110",
		}},
		{"strict", "path-sd-wan-priority-high-cluster-2-cluster-3", []string{"0 10.12.0.5:31111", "1 10.13.0.5:31111"}},
		{"l7-strict", "path-sd-wan-priority-high-cluster-2", []string{"0 10.12.0.5:31111"}},
		{"l7-strict", "path-sd-wan-priority-low-cluster-2-automatic", []string{"0 10.12.0.5:31112", "1 10.12.0.5:31111"}},
		{"ordered", "path-sd-wan-priority-high-cluster-2-cluster-3", []string{
			"0 10.12.0.5:31111", "1 10.12.0.5:31110", "2 10.13.0.5:31111", "3 10.13.0.5:31113", "4 10.13.0.5:31110",
		}},
		{"two-gateways", "path-sd-wan-priority-high-cluster-2", []string{
			"0 10.12.0.5:31111", "0 10.12.0.6:31111", "1 10.12.0.5:31112", "1 10.12.0.6:31112",
		}},
		{"http", "path-sd-wan-priority-high-cluster-2", []string{"0 10.12.0.5:31111", "1 10.12.0.5:31112"}},
		{"dual-stack", "path-sd-wan-priority-high-cluster-2", []string{"0 2001:db8:12::5:31111", "1 2001:db8:12::5:31112"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, h := range start(t, tc.name).egress().hops(tc.path) {
				got = append(got, strings.TrimSuffix(h, " 1"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("- want, + got:\n%s", diff)
			}
		})
	}
}

// A shared path: HTTP/2, one server name for all services, the identities of its clusters and no others, what makes a
// dead tunnel known soon and a slow backend no reason to leave it.
func TestPathSpeaks(t *testing.T) {
	p := start(t, "two-exporters").egress()
	c := p.cluster("path-sd-wan-priority-high-cluster-2-cluster-1")
	context := upstreamTLS(t, c)
	want := []string{"spiffe://td-1/ns/mc-wan/sa/mcw-ingress", "spiffe://td-2/ns/mc-wan/sa/mcw-ingress"}
	if context.Sni != "wan.svc.clusterset.local" || !slices.Equal(sans(context), want) {
		t.Errorf("server name %s, identities %v", context.Sni, sans(context))
	}
	h2 := http2(t, c)
	if h2 == nil {
		t.Fatal("not HTTP/2")
	}
	keepalive := h2.Http2ProtocolOptions.GetConnectionKeepalive()
	if keepalive.GetInterval().AsDuration() != 500*time.Millisecond || keepalive.GetTimeout().AsDuration() != 3*time.Second {
		t.Errorf("keepalive %v", keepalive)
	}
	if got := h2.Http2ProtocolOptions.GetMaxConcurrentStreams().GetValue(); got != 100 {
		t.Errorf("%d streams per connection", got)
	}
	if window := c.GetCommonLbConfig().GetUpdateMergeWindow(); window == nil || window.AsDuration() != 0 {
		t.Errorf("ejections wait for %v", window)
	}
	if got := tcpOption(c.GetUpstreamBindConfig().GetSocketOptions(), userTimeout); got != 400 {
		t.Errorf("what is not acknowledged ends after %d ms", got)
	}
	od := c.GetOutlierDetection()
	switch {
	case od == nil, !od.SplitExternalLocalOriginErrors, od.GetConsecutiveLocalOriginFailure().GetValue() != 5:
		t.Errorf("connections that fail take a hop out: %v", od)
	case od.GetEnforcingConsecutive_5Xx().GetValue() != 0 || od.GetEnforcingConsecutive_5Xx() == nil:
		t.Errorf("what backends answer does not: %v", od)
	case od.GetMaxEjectionPercent().GetValue() != 100 || c.GetCommonLbConfig().GetHealthyPanicThreshold().GetValue() != 1:
		t.Errorf("all may be out, and then all are tried: %v", od)
	}
}

func TestLegWithoutPolicy(t *testing.T) {
	p := start(t, "no-policy").egress()
	got := p.answers(plain(10002, simulation.HTTP, payment))
	if len(got) != 1 || got[0].Status != 503 || len(got[0].Clusters) != 0 {
		t.Errorf("no tunnel was chosen, none is used: %+v", got)
	}
	if got := p.sim.Run(plain(10000, simulation.TCP, "")); got.Error != simulation.ErrNoListener { //nolint:errorlint // the simulation returns them as they are
		t.Errorf("nothing listens for TCP: %v", got.Error)
	}
}

// istiod reads a Gateway's port as a Service's where it can: a service port with the number of another import's listener
// must not take it over.
func TestPortsOfServicesAndListenersAreApart(t *testing.T) {
	p := start(t, "port-like-a-leg").egress()
	for port, wire := range map[int]string{10000: "p8080.a.secure.svc.clusterset.local", 10002: "p10000.b.secure.svc.clusterset.local"} {
		if got := p.answers(plain(port, simulation.HTTP, "x")); got[0].Authority != wire {
			t.Errorf("port %d leads to %s, want %s", port, got[0].Authority, wire)
		}
	}
}

// dump is configuration as text, in an order of its own.
func dump[T proto.Message](t *testing.T, messages []T) []string {
	out := xdstest.DumpList(t, messages)
	slices.Sort(out)
	return out
}

// Nobody else can put routes on a leg, or on the ports of WAN policies.
func TestForeignVirtualServicesDoNotAttach(t *testing.T) {
	evil := ""
	for _, d := range documents(t, goldens, "two-exporters", "out.yaml") {
		if d.Kind != "Gateway" {
			continue
		}
		for _, hosts := range []string{`"*"`, webWire + ", " + dbSNI + ", feed.mc-wan.svc.clusterset.local"} {
			evil += fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: evil-%s-%d, namespace: evil, creationTimestamp: "2020-01-01T00:00:00Z"}
spec:
  hosts: [%s]
  gateways: [mc-wan/%s]
  http: [{directResponse: {status: 418}}]
  tcp: [{route: [{destination: {host: evil.evil.svc.cluster.local, port: {number: 1}}}]}]`, d.Metadata.Name, len(hosts), hosts, d.Metadata.Name)
		}
	}
	c, undisturbed := start(t, "two-exporters", evil), start(t, "two-exporters")
	for _, pair := range [][2]proxy{{c.egress(), undisturbed.egress()}, {c.ingress(), undisturbed.ingress()}} {
		if diff := cmp.Diff(dump(t, pair[1].sim.Routes), dump(t, pair[0].sim.Routes)); diff != "" {
			t.Errorf("routes changed:\n%s", diff)
		}
		if diff := cmp.Diff(dump(t, pair[1].sim.Listeners), dump(t, pair[0].sim.Listeners)); diff != "" {
			t.Errorf("listeners changed:\n%s", diff)
		}
	}
}
