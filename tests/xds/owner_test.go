// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"fmt"
	"strings"
	"testing"
	"time"

	mutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
)

// The owner's rules at the owner's own ingress gateway: what none of them matches is denied on every policy's port, the rest gets
// what filters, timeouts and retries say.
func TestOwnerRulesAtIngress(t *testing.T) {
	p := start(t, "l7-owner").ingress()
	for _, port := range []int{31111, 31112} {
		routes := p.routesFor(mtls(port, simulation.HTTP2, webWire, wan))
		for want, all := range map[string][]request{
			"403": {{"GET", "/", nil}, {"POST", "/payment", nil}, {"GET", "/paymentx", nil}, {"GET", "/old", nil}},
			"payment.secure.svc.cluster.local:8080=100": {{"GET", "/payment/1", nil}, {"POST", "/stats", nil}},
		} {
			for _, r := range all {
				found := p.first(routes, r)
				if got := told(p.answer(found), found); got != want {
					t.Errorf("port %d: %s %s: got %s, want %s", port, r.method, r.path, got, want)
				}
			}
		}
		payment := p.first(routes, request{"GET", "/payment/1", nil})
		a, retry := p.answer(payment), payment.GetRoute().GetRetryPolicy()
		if a.Timeout != 5*time.Second || a.Retries != 1 || retry.GetPerTryTimeout().AsDuration() != 2*time.Second ||
			fmt.Sprint(retry.RetriableStatusCodes) != "[503]" || retry.GetRetryBackOff().GetBaseInterval().AsDuration() != 100*time.Millisecond || !strings.Contains(a.RetryOn, "retriable-status-codes") {
			t.Errorf("limits of /payment: %+v, %v", a, retry)
		}
		if !strings.Contains(strings.Join(a.Sets, " "), "x-tier=gold") || payment.GetRoute().GetRegexRewrite() == nil {
			t.Errorf("what filters do to /payment: %+v", a)
		}
		if a := p.answer(p.first(routes, request{"GET", "/stats", nil})); a.Timeout != time.Second || a.Retries != 0 {
			t.Errorf("limits of /stats: %+v", a)
		}
	}
}

// At consumers they choose tunnels and deny. A consumer's own rules take their place unless the owner refuses it.
func TestOwnerRulesAtEgress(t *testing.T) {
	const high, low = "high-cluster-2=100", "low-cluster-2=100"
	for name, want := range map[string][3]string{
		"l7-owner-follow": {high, low, "403"}, "l7-owner-refuses": {high, low, "403"}, "l7-owner-allows": {low, low, low},
	} {
		p := start(t, name).egress()
		for i, path := range []string{"/payment", "/stats", "/other"} {
			if got := p.decide(10000, request{"GET", path, nil}); got != want[i] {
				t.Errorf("%s: %s: got %s, want %s", name, path, got, want[i])
			}
		}
		for _, r := range p.routesFor(plain(10000, simulation.HTTP, payment)) {
			if a := p.answer(r); a.Timeout != 0 || strings.Contains(strings.Join(a.Sets, " "), "x-tier") {
				t.Errorf("%s: the owner's gateway changes and bounds requests, not the consumer's: %+v", name, a)
			}
		}
	}
}

// No route of the egress gateway has a timeout; what rules say travels in headers that clients cannot bring, and that the
// ingress gateway makes Envoy's.
func TestLimits(t *testing.T) {
	m := start(t, "l7-limits")
	egress, ingress := m.egress(), m.ingress()
	routes := egress.routesFor(plain(10000, simulation.HTTP, payment))
	for path, want := range map[string]string{
		"/slow":      "x-mcw-timeout-ms=1500",
		"/flaky":     "x-mcw-retries=3 x-mcw-retry-codes=500,503 x-mcw-retry-on=connect-failure,refused-stream,reset,retriable-status-codes x-mcw-timeout-ms=10000 x-mcw-try-timeout-ms=2000",
		"/unbounded": "",
	} {
		a := egress.answer(egress.first(routes, request{"GET", path, nil}))
		var got []string
		for _, s := range a.Sets {
			if !strings.HasPrefix(s, "x-mcw-source") && strings.HasPrefix(s, "x-mcw-") {
				got = append(got, s)
			}
		}
		if strings.Join(got, " ") != want || a.Timeout != 0 || a.Retries != 5 {
			t.Errorf("%s: got %v, timeout %v, %d retries", path, got, a.Timeout, a.Retries)
		}
	}
	if got := mutations(t, egress, "0.0.0.0_10000"); got != "-x-mcw-timeout-ms -x-mcw-try-timeout-ms -x-mcw-retries -x-mcw-retry-on -x-mcw-retry-codes" {
		t.Errorf("the egress gateway does %s", got)
	}
	const want = "x-envoy-upstream-rq-timeout-ms=%REQ(x-mcw-timeout-ms)% -x-mcw-timeout-ms x-envoy-upstream-rq-per-try-timeout-ms=%REQ(x-mcw-try-timeout-ms)% -x-mcw-try-timeout-ms " +
		"x-envoy-max-retries=%REQ(x-mcw-retries)% -x-mcw-retries x-envoy-retry-on=%REQ(x-mcw-retry-on)% -x-mcw-retry-on x-envoy-retriable-status-codes=%REQ(x-mcw-retry-codes)% -x-mcw-retry-codes"
	if got := mutations(t, ingress, "0.0.0.0_31111"); got != want {
		t.Errorf("the ingress gateway does %s", got)
	}
}

// mutations are what a listener does to the headers of every request.
func mutations(t *testing.T, p proxy, listener string) string {
	t.Helper()
	var out []string
	for _, h := range manager(t, p, listener).GetHttpFilters() {
		if h.Name != "envoy.filters.http.header_mutation" {
			continue
		}
		config := &mutation.HeaderMutation{}
		if err := proto.Unmarshal(h.GetTypedConfig().Value, config); err != nil {
			t.Fatal(err)
		}
		for _, m := range config.Mutations.RequestMutations {
			if m.GetRemove() != "" {
				out = append(out, "-"+m.GetRemove())
			} else {
				out = append(out, m.GetAppend().Header.Key+"="+m.GetAppend().Header.Value)
			}
		}
	}
	return strings.Join(out, " ")
}

// manager is the HTTP connection manager of a listener's first filter chain.
func manager(t *testing.T, p proxy, listener string) *hcm.HttpConnectionManager {
	t.Helper()
	for _, l := range p.sim.Listeners {
		if l.Name != listener {
			continue
		}
		for _, f := range l.FilterChains[0].Filters {
			if f.Name == "envoy.filters.network.http_connection_manager" {
				return xdstest.UnmarshalAny[hcm.HttpConnectionManager](t, f.GetTypedConfig())
			}
		}
	}
	t.Fatalf("no listener %s of HTTP", listener)
	return nil
}

// What a rule denies is counted by the listener of the service's port: the metric that docs/steering.md names. A service
// has one for clients without and one for clients with a sidecar.
func TestDenialsAreCountedByPort(t *testing.T) {
	p := start(t, "l7-rules").egress()
	for _, port := range []string{"10000", "10001"} {
		if got, want := manager(t, p, "0.0.0.0_"+port).GetStatPrefix(), "outbound_0.0.0.0_"+port+";"; got != want {
			t.Errorf("port %s counts as %q, want %q", port, got, want)
		}
	}
}
