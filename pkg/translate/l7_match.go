// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"strings"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// anyText is the regular expression that stands in for one that cannot be used, see CheckRegexp.
const anyText = ".*"

// matcher is one match of a rule.
type matcher struct {
	kind gatewayv1.PathMatchType
	path string
	// length is that of the path as it is written, also where it cannot be read.
	length  int
	method  string
	headers map[string]*networkingv1alpha3.StringMatch
	params  map[string]*networkingv1alpha3.StringMatch
}

// everything is what a match without fields says.
func everything() matcher { return matcher{kind: gatewayv1.PathMatchPathPrefix, path: "/"} }

// matcherOf reads a match; wrong names the fields that cannot be read.
func matcherOf(in gatewayv1.HTTPRouteMatch) (m matcher, wrong []string) {
	m = everything()
	if in.Path != nil {
		m.kind, m.path = ptr.Deref(in.Path.Type, m.kind), ptr.Deref(in.Path.Value, m.path)
	}
	m.length = len(m.path)
	if problem := m.checkPath(); problem != "" {
		wrong = append(wrong, "path."+problem)
		m.kind, m.path = gatewayv1.PathMatchRegularExpression, anyText
	}
	m.method = string(ptr.Deref(in.Method, ""))
	for i, h := range in.Headers {
		if isGateways(string(h.Name)) {
			wrong = append(wrong, fmt.Sprintf("headers[%d].name: header %s is the gateways', and not what the client has sent; take it out of the match", i, h.Name))
			continue
		}
		text, err := textMatch(string(ptr.Deref(h.Type, gatewayv1.HeaderMatchExact)), h.Value)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("headers[%d].value: %s", i, err))
		}
		m.headers = addOnce(m.headers, strings.ToLower(string(h.Name)), text)
	}
	for i, q := range in.QueryParams {
		text, err := textMatch(string(ptr.Deref(q.Type, gatewayv1.QueryParamMatchExact)), q.Value)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("queryParams[%d].value: %s", i, err))
		}
		m.params = addOnce(m.params, string(q.Name), text)
	}
	return m, wrong
}

// isGateways says of a header that it differs between the gateways, so that rules cannot be matched by it. A match of one
// stands for any request: it answers 500, and none that it may have meant is to fall to another rule.
func isGateways(name string) bool {
	n := strings.ToLower(name)
	return n == "host" || n == "x-forwarded-host" || strings.HasPrefix(n, "x-mcw-")
}

// checkPath says what is wrong with the path. The API server takes no unknown types and no paths without a slash; files may
// have them.
func (m *matcher) checkPath() string {
	switch m.kind {
	case gatewayv1.PathMatchRegularExpression:
		if err := CheckRegexp(m.path); err != nil {
			return "value: " + err.Error()
		}
	case gatewayv1.PathMatchExact, gatewayv1.PathMatchPathPrefix:
		if !strings.HasPrefix(m.path, "/") {
			m.length = 0
			return fmt.Sprintf("value: %q does not begin with a slash", m.path)
		}
	default:
		m.length = 0
		return fmt.Sprintf("type: %s is not one of Exact, PathPrefix and RegularExpression", m.kind)
	}
	return ""
}

// addOnce keeps the first of several matches for one name, as the Gateway API says.
func addOnce(in map[string]*networkingv1alpha3.StringMatch, name string, text *networkingv1alpha3.StringMatch) map[string]*networkingv1alpha3.StringMatch {
	if in == nil {
		in = map[string]*networkingv1alpha3.StringMatch{}
	}
	if in[name] == nil {
		in[name] = text
	}
	return in
}

func textMatch(kind, value string) (*networkingv1alpha3.StringMatch, error) {
	if kind != string(gatewayv1.HeaderMatchRegularExpression) {
		return exactly(value), nil
	}
	if err := CheckRegexp(value); err != nil {
		return matching(anyText), err
	}
	return matching(value), nil
}

func exactly(s string) *networkingv1alpha3.StringMatch {
	return &networkingv1alpha3.StringMatch{MatchType: &networkingv1alpha3.StringMatch_Exact{Exact: s}}
}

func matching(s string) *networkingv1alpha3.StringMatch {
	return &networkingv1alpha3.StringMatch{MatchType: &networkingv1alpha3.StringMatch_Regex{Regex: s}}
}

func beginning(s string) *networkingv1alpha3.StringMatch {
	return &networkingv1alpha3.StringMatch{MatchType: &networkingv1alpha3.StringMatch_Prefix{Prefix: s}}
}

// compareMatchers is the Gateway API's precedence (HTTPRouteRule.matches): an exact path first, then the longest prefix,
// a method, the most headers, the most query parameters. It leaves open where regular expressions stand; they come after
// prefixes here, as in Istio's own HTTPRoutes (sortHTTPRoutes in pilot/pkg/config/kube/gateway/conversion.go).
func compareMatchers(a, b matcher) int {
	rank := func(m matcher) int {
		switch m.kind {
		case gatewayv1.PathMatchExact:
			return 0
		case gatewayv1.PathMatchPathPrefix:
			return 1
		}
		return 2
	}
	has := func(m matcher) int { return min(len(m.method), 1) }
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(b.length, a.length),
		cmp.Compare(has(b), has(a)),
		cmp.Compare(len(b.headers), len(a.headers)),
		cmp.Compare(len(b.params), len(a.params)),
	)
}

// prefix is the path of a prefix match without its trailing slash, which does not matter; empty for the root.
func (m matcher) prefix() string { return strings.TrimSuffix(m.path, "/") }

// isPrefix says whether the match is of a path prefix that is not the root.
func (m matcher) isPrefix() bool { return m.kind == gatewayv1.PathMatchPathPrefix && m.prefix() != "" }

// requests are the match as a VirtualService has it. Its prefixes are of characters, the Gateway API's of path elements:
// /payment is /payment itself and what begins with /payment/.
func (m matcher) requests() []*networkingv1alpha3.HTTPMatchRequest {
	switch {
	case m.isPrefix():
		return []*networkingv1alpha3.HTTPMatchRequest{m.request(exactly(m.prefix())), m.request(beginning(m.prefix() + "/"))}
	case m.kind == gatewayv1.PathMatchExact:
		return []*networkingv1alpha3.HTTPMatchRequest{m.request(exactly(m.path))}
	case m.kind == gatewayv1.PathMatchRegularExpression:
		return []*networkingv1alpha3.HTTPMatchRequest{m.request(matching(m.path))}
	}
	return []*networkingv1alpha3.HTTPMatchRequest{m.request(beginning("/"))}
}

func (m matcher) request(uri *networkingv1alpha3.StringMatch) *networkingv1alpha3.HTTPMatchRequest {
	out := &networkingv1alpha3.HTTPMatchRequest{Uri: uri, Headers: m.headers, QueryParams: m.params}
	if m.method != "" {
		out.Method = exactly(m.method)
	}
	return out
}
