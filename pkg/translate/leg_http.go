// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"strings"
	"time"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

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

	// sourceValue is the SPIFFE id of the client, empty for clients without a sidecar; Envoy sets no header to an empty
	// value, which is why the header is removed first: a client cannot bring its own.
	sourceValue = "%DOWNSTREAM_PEER_URI_SAN%"
	hostValue   = "%REQ(:AUTHORITY)%"
)

// idempotentMethods is a regular expression, as VirtualServices take it (a full match).
func idempotentMethods() []string {
	return []string{"GET", "HEAD", "OPTIONS"}
}

// route is what happens to the requests of an HTTP leg that match: they take a policy's paths, or are answered with a
// status. It is the form in which the rules of an L7 import (an HTTPRoute rule) reach the VirtualService.
type route struct {
	// matches are alternatives; none matches everything.
	matches []*networkingv1alpha3.HTTPMatchRequest
	// policy is the WAN policy whose paths the requests take.
	policy string
	// status, if not 0, answers instead.
	status uint32
}

// routes are the leg's routes in the order in which they are tried.
func (l leg) routes() []route {
	if l.policy == "" || len(l.shares) == 0 {
		return []route{{status: unavailable}}
	}
	return []route{{policy: l.policy}}
}

func (l leg) httpObjects() ([]Object, []PathKey) {
	name := LegName(l.namespace, l.name, l.port.Port)
	var https []*networkingv1alpha3.HTTPRoute
	var paths []PathKey
	for _, r := range l.routes() {
		https = append(https, l.httpRoutes(r)...)
		for _, p := range l.paths(r.policy) {
			if r.status == 0 {
				paths = append(paths, p.path)
			}
		}
	}
	vs := &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: oursFor(name, v1alpha1.PartLeg, l.namespace, l.name),
		Spec: networkingv1alpha3.VirtualService{
			// The listener belongs to this service port alone: whatever Host a client sends, it means this service.
			Hosts:    []string{"*"},
			Gateways: []string{inNamespace(name)},
			ExportTo: onlyHere(),
			Http:     https,
		},
	}
	vs.Annotations = map[string]string{AnnotationShares: l.shares.String()}
	gateway := l.gateway(
		server("http", protocolHTTP, l.listeners.Plain, false),
		server("https", protocolHTTPS, l.listeners.MTLS, true))
	return []Object{gateway, vs}, paths
}

// gateway is the leg's listeners. No other namespace's VirtualService can attach to them.
func (l leg) gateway(servers ...*networkingv1alpha3.Server) *networkingv1.Gateway {
	return &networkingv1.Gateway{
		TypeMeta:   typeNetworking("Gateway"),
		ObjectMeta: oursFor(LegName(l.namespace, l.name, l.port.Port), v1alpha1.PartLeg, l.namespace, l.name),
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
			Match:          r.matches,
			DirectResponse: &networkingv1alpha3.HTTPDirectResponse{Status: r.status},
		}}
	}
	var out []*networkingv1alpha3.HTTPRoute
	if m := idempotentOnly(r.matches); len(m) > 0 {
		out = append(out, l.httpRoute(m, r.policy, retryIdempotent))
	}
	if m, some := othersToo(r.matches); some {
		out = append(out, l.httpRoute(m, r.policy, retryOthers))
	}
	return out
}

func (l leg) httpRoute(matches []*networkingv1alpha3.HTTPMatchRequest, policy, retryOn string) *networkingv1alpha3.HTTPRoute {
	out := &networkingv1alpha3.HTTPRoute{
		Match:   matches,
		Rewrite: &networkingv1alpha3.HTTPRewrite{Authority: WireName(l.port.Port, l.name, l.namespace)},
		Retries: &networkingv1alpha3.HTTPRetry{
			Attempts:              attempts,
			RetryOn:               retryOn,
			RetryRemoteLocalities: yes(),
			Backoff:               seconds(backoff),
		},
		Headers: withoutMark(),
	}
	out.Headers.Request = &networkingv1alpha3.Headers_HeaderOperations{
		Remove: []string{v1alpha1.HeaderPeer, v1alpha1.HeaderSource},
		Set:    map[string]string{v1alpha1.HeaderSource: sourceValue, v1alpha1.HeaderForwardedHost: hostValue},
	}
	for _, p := range l.paths(policy) {
		out.Route = append(out.Route, &networkingv1alpha3.HTTPRouteDestination{
			Destination: destination(PathHost(p.path), pathPort),
			Weight:      p.weight,
		})
	}
	return out
}

func destination(host string, port uint32) *networkingv1alpha3.Destination {
	return &networkingv1alpha3.Destination{Host: host, Port: &networkingv1alpha3.PortSelector{Number: port}}
}

// idempotentOnly narrows matches to idempotent methods; empty when none of them can match such a request.
func idempotentOnly(matches []*networkingv1alpha3.HTTPMatchRequest) []*networkingv1alpha3.HTTPMatchRequest {
	if len(matches) == 0 {
		matches = []*networkingv1alpha3.HTTPMatchRequest{{}}
	}
	var out []*networkingv1alpha3.HTTPMatchRequest
	for _, m := range matches {
		m = m.DeepCopy()
		if m.Method == nil {
			m.Method = &networkingv1alpha3.StringMatch{
				MatchType: &networkingv1alpha3.StringMatch_Regex{Regex: strings.Join(idempotentMethods(), "|")},
			}
		} else if !slices.Contains(idempotentMethods(), m.Method.GetExact()) {
			continue
		}
		out = append(out, m)
	}
	return out
}

// othersToo are the matches that a request of another method can satisfy, and whether there is one. They come after the
// idempotent ones, so they need not exclude those.
func othersToo(matches []*networkingv1alpha3.HTTPMatchRequest) ([]*networkingv1alpha3.HTTPMatchRequest, bool) {
	out := filter(matches, func(m *networkingv1alpha3.HTTPMatchRequest) bool {
		return m.Method == nil || !slices.Contains(idempotentMethods(), m.Method.GetExact())
	})
	return out, len(matches) == 0 || len(out) > 0
}
