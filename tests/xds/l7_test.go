// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
)

// request is what routes choose by.
type request struct {
	method, path string
	headers      map[string]string
}

// decide is what the first route that a request matches does: "clusters", "status" or "redirect". The simulation of Istio
// looks at paths only.
func (p proxy) decide(port int, r request) string {
	p.t.Helper()
	if found := p.first(p.routesFor(plain(port, simulation.HTTP, payment)), r); found != nil {
		return told(p.answer(found), found)
	}
	return "nothing"
}

// routesFor are the routes that a call is led to, in the order in which they are tried.
func (p proxy) routesFor(c simulation.Call) []*route.Route {
	p.t.Helper()
	result := p.sim.Run(c)
	if result.RouteConfigMatched == "" {
		p.t.Fatalf("no routes on port %d: %v", c.Port, result.Error)
	}
	for _, vh := range xdstest.ExtractRouteConfigurations(p.sim.Routes)[result.RouteConfigMatched].GetVirtualHosts() {
		if vh.Name == result.VirtualHostMatched {
			return vh.Routes
		}
	}
	p.t.Fatalf("port %d: no virtual host %s", c.Port, result.VirtualHostMatched)
	return nil
}

// first is the first of the routes that a request matches.
func (p proxy) first(routes []*route.Route, r request) *route.Route {
	p.t.Helper()
	for _, candidate := range routes {
		if r.matches(p, candidate.Match) {
			return candidate
		}
	}
	return nil
}

func told(a answer, r *route.Route) string {
	switch {
	case r.GetRedirect() != nil:
		return "redirect " + r.GetRedirect().GetPathRedirect() + r.GetRedirect().GetPrefixRewrite()
	case a.Status != 0:
		return fmt.Sprint(a.Status)
	}
	var out []string
	for c, w := range a.Clusters {
		out = append(out, fmt.Sprintf("%s=%d", strings.TrimPrefix(c, "path-sd-wan-priority-"), w))
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func (r request) matches(p proxy, m *route.RouteMatch) bool {
	path, raw, _ := strings.Cut(r.path, "?")
	query, err := url.ParseQuery(raw)
	if err != nil {
		p.t.Fatal(err)
	}
	switch kind := m.PathSpecifier.(type) {
	case *route.RouteMatch_Prefix:
		if !strings.HasPrefix(path, kind.Prefix) {
			return false
		}
	case *route.RouteMatch_Path:
		if path != kind.Path {
			return false
		}
	case *route.RouteMatch_SafeRegex:
		if !full(kind.SafeRegex.Regex, path) {
			return false
		}
	default:
		p.t.Fatalf("a match of paths of type %T", kind)
	}
	for _, h := range m.Headers {
		value, there := r.headers[h.Name]
		if h.Name == ":method" {
			value, there = r.method, true
		}
		if !there || !fits(p, h.GetStringMatch(), value) {
			return false
		}
	}
	for _, q := range m.QueryParameters {
		if !query.Has(q.Name) || !fits(p, q.GetStringMatch(), query.Get(q.Name)) {
			return false
		}
	}
	return true
}

func fits(p proxy, m *matcher.StringMatcher, value string) bool {
	switch kind := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		return value == kind.Exact
	case *matcher.StringMatcher_SafeRegex:
		return full(kind.SafeRegex.Regex, value)
	}
	p.t.Fatalf("a match of text of type %T", m.GetMatchPattern())
	return false
}

func full(expression, value string) bool {
	return regexp.MustCompile("^(?:" + expression + ")$").MatchString(value)
}

// Rules reach Envoy with the Gateway API's meaning: path elements, precedence, and 403 for the rest.
func TestRules(t *testing.T) {
	const high, low = "high-cluster-2=100", "low-cluster-2=100"
	gold := map[string]string{"x-tier": "gold", "cookie": "a=b; session=1"}
	for name, requests := range map[string]map[string][]request{
		"l7-rules": {
			high:  {{"GET", "/payment", nil}, {"GET", "/payment/", nil}, {"GET", "/payment/1?a=b", nil}},
			low:   {{"GET", "/stats", nil}, {"POST", "/stats/now", nil}},
			"403": {{"GET", "/", nil}, {"GET", "/paymentx", nil}, {"POST", "/payment", nil}, {"GET", "/Payment", nil}, {"GET", "/x/payment", nil}, {"GET", "/?/payment", nil}},
		},
		"l7-precedence": {
			high: {{"GET", "/payment", nil}, {"POST", "/payment/1", nil}, {"GET", "/payment/x", gold}, {"GET", "/payment?urgent=yes", nil}},
			low:  {{"DELETE", "/payment", nil}, {"POST", "/payment/archive", gold}, {"GET", "/v1/x", nil}, {"GET", "/paymentx", nil}},
		},
		"l7-weights": {"high-cluster-1-cluster-2=9,high-cluster-2-cluster-1=27,low-cluster-1-cluster-2=1,low-cluster-2-cluster-1=3": {{"GET", "/", nil}, {"PUT", "/x", nil}}},
		"l7-filters": {
			"redirect /here":  {{"GET", "/moved", nil}},
			"redirect /here/": {{"GET", "/moved/x", nil}},
			"redirect ":       {{"GET", "/secured/x", nil}},
			high:              {{"GET", "/old/x", nil}, {"PUT", "/copied", nil}},
			"403":             {{"GET", "/", nil}},
		},
		"l7-refused": {
			// What an expression that cannot be read may have meant does not fall to another rule.
			"500": {{"GET", "/", nil}, {"GET", "/slow", nil}, {"GET", "/cors", nil}, {"GET", "/unknown", nil}, {"GET", "/header", gold},
				{"GET", "/letters", map[string]string{"x-id": "a"}}, {"GET", "/line-break", nil}, {"GET", "/to-line-break", nil}, {"GET", "/rewritten-to-line-break/a", nil}},
			"high-cluster-2=1,unresolved.wan.mcw.internal:443=1": {{"GET", "/half", nil}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, port := start(t, name).egress(), 10000
			for want, all := range requests {
				for _, r := range all {
					if got := p.decide(port, r); got != want {
						t.Errorf("%s %s %v: got %s, want %s", r.method, r.path, r.headers, got, want)
					}
				}
			}
		})
	}
}

// A redirect to https does not keep the port that the client has written: Envoy would, were it not told a host.
func TestRedirectToWellKnownPort(t *testing.T) {
	p := start(t, "l7-filters").egress()
	r := p.first(p.routesFor(plain(10000, simulation.HTTP, payment)), request{"GET", "/secured", nil}).GetRedirect()
	if r.GetSchemeRedirect() != "https" || r.GetHostRedirect() != payment || r.GetPortRedirect() != 0 {
		t.Errorf("%v", r)
	}
}

// A rule for one port leaves the others to the policy of the export.
func TestRulesOfOnePort(t *testing.T) {
	p := start(t, "l7-ports").egress()
	for port, want := range map[int]string{10002: "403", 10004: "high-cluster-2=100"} {
		if got := p.decide(port, request{"GET", "/", nil}); got != want {
			t.Errorf("port %d: got %s, want %s", port, got, want)
		}
	}
}

// A dummy Service is its policy, whatever Host a client sends, for HTTP and TCP.
func TestDummyService(t *testing.T) {
	p := start(t, "dummy-services").egress()
	for port, want := range map[int]string{10006: "high-cluster-2=100", 10007: "low-cluster-2=100"} {
		if got := p.decide(port, request{"POST", "/anything", nil}); got != want {
			t.Errorf("port %d: got %s, want %s", port, got, want)
		}
	}
	for port, policy := range map[int]string{10010: "high", 10011: "low"} {
		got := p.sim.Run(plain(port, simulation.TCP, "")).ClusterMatched
		if !strings.Contains(got, "path-tcp-payment-secure-5432-sd-wan-priority") || short(got) == "" {
			t.Errorf("port %d leads to %s, want the TCP path of policy %s", port, got, policy)
		}
	}
}
