// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// attempts is how often a request is tried again. With retry-next-hop (envoyfilters.go) each takes the next rank.
	attempts = 5
	// backoff is short because the next try goes elsewhere.
	backoff = 5 * time.Millisecond

	// retryIdempotent also repeats what was reset after it had been sent. envoy-ratelimited is how the ingress gateway
	// says that it has no backend (envoyfilters.go).
	retryIdempotent = "connect-failure,refused-stream,reset,envoy-ratelimited"
	// retryOthers repeats only what has not been sent, or was turned away by the ingress gateway itself.
	retryOthers = "connect-failure,refused-stream,reset-before-request,envoy-ratelimited"

	// unavailable is the answer where no way was chosen or nobody exports the port: 503.
	unavailable = 503
	// unresolved is the answer of a rule that refers to what does not exist: 500, as Gateway API has it.
	unresolved = 500
	// forbidden is the answer where no rule matches: 403.
	forbidden = 403

	// sourceValue is the SPIFFE id of the client, empty for clients without a sidecar; Envoy sets no header to an empty
	// value, which is why the header is removed first: a client cannot bring its own.
	sourceValue = "%DOWNSTREAM_PEER_URI_SAN%"
	hostValue   = "%REQ(:AUTHORITY)%"
)

// repeatable are the methods that may be repeated after they have been sent: what is safe by RFC 9110 (section 9.2.1), and
// what the owners of the service add.
func repeatable(owners []string) []string {
	return append([]string{"GET", "HEAD", "OPTIONS"}, owners...)
}

// route is what happens to the requests of an HTTP leg that match: they take the paths of policies, are redirected, or are
// answered with a status. It is the form in which the rules of an L7 import reach the VirtualService.
type route struct {
	// name is how Envoy's logs and statistics call the route; empty for none.
	name string
	// matches are alternatives; none matches everything.
	matches []*networkingv1alpha3.HTTPMatchRequest
	// policies are the WAN policies whose paths the requests take, by weight.
	policies []policyWeight
	// status, if not 0, answers instead.
	status uint32
	// redirect, if there is one, answers instead.
	redirect *networkingv1alpha3.HTTPRedirect
	// The rest is what filters do.
	request, response *gatewayv1.HTTPHeaderFilter
	rewrite           *networkingv1alpha3.RegexRewrite
	mirrors           []policyMirror
	limits            limits
}

// policyMirror is the policy by which copies go to the service, and how many of them, in percent.
type policyMirror struct {
	policy  string
	percent float64
}

// over is the route of all requests over one policy.
func over(policy string) []policyWeight { return []policyWeight{{policy, 1}} }

const (
	// nameDenied is the name of the route that denies what no rule matches.
	nameDenied = "denied"
	// nameSticky is the name of routes that choose among several paths by the client's address (envoyfilters.go). It takes
	// the place of a rule's name, because an EnvoyFilter finds routes by their exact name.
	nameSticky = "client-ip"
)

// routes are the leg's routes in the order in which they are tried.
func (l leg) routes() []route {
	if len(l.rules) > 0 {
		var out []route
		for _, r := range l.rules {
			out = append(out, r.routes(l)...)
		}
		return append(out, route{name: nameDenied, status: forbidden})
	}
	if l.policy == "" || len(l.shares) == 0 {
		return []route{{status: unavailable}}
	}
	return []route{{policies: over(l.policy)}}
}

func (l leg) httpObjects() ([]Object, []PathKey) {
	name := l.objectName()
	var https []*networkingv1alpha3.HTTPRoute
	var paths []PathKey
	for _, r := range l.routes() {
		https = append(https, l.httpRoutes(r)...)
		paths = append(paths, l.pathsOf(r)...)
	}
	vs := &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: l.meta(),
		Spec: networkingv1alpha3.VirtualService{
			// The listener belongs to this service port alone: whatever Host a client sends, it means this service.
			Hosts:    []string{"*"},
			Gateways: []string{inNamespace(name)},
			ExportTo: onlyHere(),
			Http:     https,
		},
	}
	vs.Annotations = map[string]string{AnnotationShares: l.shares.String()}
	servers := []*networkingv1alpha3.Server{server("http", protocolHTTP, l.listeners.Plain, false)}
	if !l.dummy {
		servers = append(servers, server("https", protocolHTTPS, l.listeners.MTLS, true))
	}
	return []Object{l.gateway(servers...), vs}, paths
}

// pathsOf are the paths that a route leads to.
func (l leg) pathsOf(r route) []PathKey {
	if r.status != 0 || r.redirect != nil {
		return nil
	}
	var out []PathKey
	for _, p := range r.policies {
		if p.policy == "" || p.weight == 0 {
			continue
		}
		for _, w := range l.paths(p.policy) {
			out = append(out, w.path)
		}
	}
	for _, m := range r.mirrors {
		out = append(out, l.mirrorPath(m.policy))
	}
	return out
}

// mirrorPath is where copies go: the path to the exporter with the largest share. A copy is not to be answered, and each
// path of a mirror would be drawn for itself.
func (l leg) mirrorPath(policy string) PathKey {
	paths := l.paths(policy)
	return slices.MaxFunc(paths, func(a, b weightedPath) int { return cmp.Compare(a.weight, b.weight) }).path
}

// gateway is the leg's listeners. No other namespace's VirtualService can attach to them.
func (l leg) gateway(servers ...*networkingv1alpha3.Server) *networkingv1.Gateway {
	return &networkingv1.Gateway{
		TypeMeta:   typeNetworking("Gateway"),
		ObjectMeta: l.meta(),
		Spec: networkingv1alpha3.Gateway{
			Selector: selectGateway(v1alpha1.GatewayEgress),
			Servers:  servers,
		},
	}
}

// server is one listener for any host; mutual TLS by Istio's own certificates where mtls.
func server(prefix, protocol string, port int32, mtls bool) *networkingv1alpha3.Server {
	s := &networkingv1alpha3.Server{
		Port:  &networkingv1alpha3.Port{Number: uint32(port), Name: prefix + "-" + itoa(port), Protocol: protocol},
		Hosts: []string{inNamespace("*")},
	}
	if mtls {
		s.Tls = &networkingv1alpha3.ServerTLSSettings{Mode: networkingv1alpha3.ServerTLSSettings_ISTIO_MUTUAL}
	}
	return s
}

// httpRoutes are the routes of a VirtualService for one route of ours: idempotent methods first, then the others, which
// differ in what is tried again. No timeouts: Envoy counts them as failures of the hop, and one slow service would push
// everyone off a shared path; they are enforced at the ingress gateway.
func (l leg) httpRoutes(r route) []*networkingv1alpha3.HTTPRoute {
	if r.status != 0 {
		return []*networkingv1alpha3.HTTPRoute{{
			Name:           r.name,
			Match:          r.matches,
			DirectResponse: &networkingv1alpha3.HTTPDirectResponse{Status: r.status},
		}}
	}
	if r.redirect != nil {
		out := &networkingv1alpha3.HTTPRoute{Name: r.name, Match: r.matches, Redirect: r.redirect}
		if response := change(nil, r.response); response != nil {
			out.Headers = &networkingv1alpha3.Headers{Response: response}
		}
		return []*networkingv1alpha3.HTTPRoute{out}
	}
	var out []*networkingv1alpha3.HTTPRoute
	repeat := repeatable(l.merged.Idempotent)
	if m := idempotentOnly(r.matches, repeat); len(m) > 0 {
		out = append(out, l.httpRoute(r, m, retryIdempotent))
	}
	if m, some := othersToo(r.matches, repeat); some {
		out = append(out, l.httpRoute(r, m, retryOthers))
	}
	return out
}

func (l leg) httpRoute(r route, matches []*networkingv1alpha3.HTTPMatchRequest, retryOn string) *networkingv1alpha3.HTTPRoute {
	out := &networkingv1alpha3.HTTPRoute{
		Name:    r.name,
		Match:   matches,
		Rewrite: &networkingv1alpha3.HTTPRewrite{Authority: WireName(l.wire()), UriRegexRewrite: r.rewrite},
		Retries: &networkingv1alpha3.HTTPRetry{
			Attempts:              attempts,
			RetryOn:               retryOn,
			RetryRemoteLocalities: wrapperspb.Bool(true),
			Backoff:               seconds(backoff),
		},
		Headers: withoutMark(),
		Route:   l.destinations(r.policies),
	}
	if l.sticky && len(out.Route) > 1 {
		out.Name = nameSticky
	}
	out.Headers.Response = change(out.Headers.Response, r.response)
	out.Headers.Request = change(&networkingv1alpha3.Headers_HeaderOperations{
		Remove: []string{v1alpha1.HeaderPeer, v1alpha1.HeaderSource},
		Set:    map[string]string{v1alpha1.HeaderSource: sourceValue, v1alpha1.HeaderForwardedHost: hostValue},
	}, r.request)
	r.limits.tell(out.Headers.Request.Set, retryOn == retryIdempotent)
	for _, m := range r.mirrors {
		out.Mirrors = append(out.Mirrors, &networkingv1alpha3.HTTPMirrorPolicy{
			Destination: destination(PathHost(l.mirrorPath(m.policy)), pathPort),
			Percentage:  &networkingv1alpha3.Percent{Value: m.percent},
		})
	}
	return out
}

// nowhere is a host that does not exist: of the requests of a rule, the share of a reference that names nothing is answered
// with 503, by Envoy itself. The Gateway API wants 500, which a rule without any other reference answers.
const nowhere = "unresolved." + PathDomain

// destinations are where requests go: each policy's weight times the exporters' shares, exactly. With one policy they
// sum to 100.
func (l leg) destinations(policies []policyWeight) []*networkingv1alpha3.HTTPRouteDestination {
	policies = filter(policies, func(p policyWeight) bool { return p.weight > 0 })
	if len(policies) == 1 {
		policies = []policyWeight{{policies[0].policy, 1}}
	}
	hosts, weights, divisor := []string(nil), map[string]int64{}, int64(0)
	add := func(host string, weight int64) {
		if _, known := weights[host]; !known {
			hosts = append(hosts, host)
		}
		weights[host] += weight
	}
	for _, p := range policies {
		if p.policy == "" {
			add(nowhere, int64(p.weight)*whole)
			continue
		}
		for _, w := range l.paths(p.policy) {
			add(PathHost(w.path), int64(p.weight)*int64(w.weight))
		}
	}
	for _, h := range hosts {
		divisor = gcd(weights[h], divisor)
	}
	if len(policies) == 1 {
		divisor = 1
	}
	var out []*networkingv1alpha3.HTTPRouteDestination
	for _, h := range hosts {
		out = append(out, &networkingv1alpha3.HTTPRouteDestination{Destination: destination(h, pathPort), Weight: int32(weights[h] / divisor)})
	}
	return out
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func destination(host string, port uint32) *networkingv1alpha3.Destination {
	return &networkingv1alpha3.Destination{Host: host, Port: &networkingv1alpha3.PortSelector{Number: port}}
}

// idempotentOnly narrows matches to idempotent methods (a VirtualService matches regular expressions in full); empty when
// none of them can match such a request.
func idempotentOnly(matches []*networkingv1alpha3.HTTPMatchRequest, idempotent []string) []*networkingv1alpha3.HTTPMatchRequest {
	if len(matches) == 0 {
		matches = []*networkingv1alpha3.HTTPMatchRequest{{}}
	}
	var out []*networkingv1alpha3.HTTPMatchRequest
	for _, m := range matches {
		m = m.DeepCopy()
		if m.Method == nil {
			m.Method = &networkingv1alpha3.StringMatch{
				MatchType: &networkingv1alpha3.StringMatch_Regex{Regex: strings.Join(idempotent, "|")},
			}
		} else if !slices.Contains(idempotent, m.Method.GetExact()) {
			continue
		}
		out = append(out, m)
	}
	return out
}

// othersToo are the matches that a request of another method can satisfy, and whether there is one. They come after the
// idempotent ones, so they need not exclude those.
func othersToo(matches []*networkingv1alpha3.HTTPMatchRequest, idempotent []string) ([]*networkingv1alpha3.HTTPMatchRequest, bool) {
	out := filter(matches, func(m *networkingv1alpha3.HTTPMatchRequest) bool {
		return m.Method == nil || !slices.Contains(idempotent, m.Method.GetExact())
	})
	return out, len(matches) == 0 || len(out) > 0
}
