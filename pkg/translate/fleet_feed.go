// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"google.golang.org/protobuf/types/known/wrapperspb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// feedLegName names the objects of the egress gateway's feed port, feedName those of the ingress side.
const (
	feedLegName = "egress-feed"
	feedName    = "ingress-feed"
)

// feedObjects are the controllers' way to each other. This controller calls the egress gateway's feed port, which takes
// mutual TLS only; a route per peer leads over the default policy's path to the peer; there the ingress gateway hands
// over to the peer's controller and says who called.
func feedObjects(in FleetInput, policies []v1alpha1.WANPolicy, peers []v1alpha1.Peer, out *FleetResult) []Object {
	objects := []Object{feedClient(in.Self), feedGateway()}
	for _, p := range peers {
		path := FeedPath(p.Spec.ClusterID, in.Policies, in.Cards)
		out.Paths = append(out.Paths, path)
		objects = append(objects, feedRoute(p.Spec.ClusterID, path))
	}
	out.Paths = uniquePaths(out.Paths)
	if len(policies) > 0 {
		objects = append(objects, feedIngress(policies), standbyIngress(policies))
	}
	return objects
}

// FeedPath is the path to a peer's feed: no backup, the default policy; where the peer does not offer that one, the best
// that it offers.
func FeedPath(peer string, policies []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec) PathKey {
	candidates := []string{ResolvePolicy("", policies)}
	for _, p := range bestFirst(policies) {
		candidates = append(candidates, p.Name)
	}
	if card := cardOf(cards, peer); card != nil {
		for _, p := range sortedOffers(card.Policies) {
			candidates = append(candidates, p.Name)
		}
	}
	candidates = unique(candidates)
	for _, c := range candidates {
		if offers(cards, peer, c) != nil {
			return PathKey{Policy: c, Exporter: peer}
		}
	}
	return PathKey{Policy: append(candidates, "")[0], Exporter: peer}
}

// feedClient makes the controller's sidecar speak mutual TLS to the feed port and check that it is the own egress gateway.
// Each call has a connection of its own, so that calls reach every worker of every pod of the gateway in turn: workers do
// not share the connections that standbyRoute is to keep open.
func feedClient(self Cluster) Object {
	return &networkingv1.DestinationRule{
		TypeMeta:   typeNetworking("DestinationRule"),
		ObjectMeta: ours(feedLegName, v1alpha1.PartFleet),
		Spec: networkingv1alpha3.DestinationRule{
			Host:     LocalHost(v1alpha1.EgressName, v1alpha1.Namespace),
			ExportTo: onlyHere(),
			TrafficPolicy: &networkingv1alpha3.TrafficPolicy{
				PortLevelSettings: []*networkingv1alpha3.TrafficPolicy_PortTrafficPolicy{{
					Port: &networkingv1alpha3.PortSelector{Number: uint32(v1alpha1.EgressFeedPort)},
					Tls: &networkingv1alpha3.ClientTLSSettings{
						Mode:            networkingv1alpha3.ClientTLSSettings_ISTIO_MUTUAL,
						SubjectAltNames: []string{self.Identities.Egress},
					},
					LoadBalancer: &networkingv1alpha3.LoadBalancerSettings{
						LbPolicy: &networkingv1alpha3.LoadBalancerSettings_Simple{Simple: networkingv1alpha3.LoadBalancerSettings_ROUND_ROBIN},
					},
					ConnectionPool: &networkingv1alpha3.ConnectionPoolSettings{
						Http: &networkingv1alpha3.ConnectionPoolSettings_HTTPSettings{MaxRequestsPerConnection: 1},
					},
				}},
			},
		},
	}
}

func feedGateway() Object {
	return &networkingv1.Gateway{
		TypeMeta:   typeNetworking("Gateway"),
		ObjectMeta: ours(feedLegName, v1alpha1.PartFleet),
		Spec: networkingv1alpha3.Gateway{
			Selector: selectGateway(v1alpha1.GatewayEgress),
			Servers:  []*networkingv1alpha3.Server{server("https", protocolHTTPS, v1alpha1.EgressFeedPort, true)},
		},
	}
}

// feedRoute leads from /peers/<cluster>/ to the peer's feed. Every call may be repeated: reads are idempotent, and of
// two equal announcements the second changes nothing. No timeout: a watch lasts.
func feedRoute(cluster string, path PathKey) Object {
	return &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: ours(FeedLegName(cluster), v1alpha1.PartFleet),
		Spec: networkingv1alpha3.VirtualService{
			Hosts:    []string{"*"},
			Gateways: []string{inNamespace(feedLegName)},
			ExportTo: onlyHere(),
			Http: []*networkingv1alpha3.HTTPRoute{{
				Match: []*networkingv1alpha3.HTTPMatchRequest{{
					Uri: &networkingv1alpha3.StringMatch{MatchType: &networkingv1alpha3.StringMatch_Prefix{Prefix: FeedPrefix(cluster)}},
				}},
				Rewrite: &networkingv1alpha3.HTTPRewrite{Uri: "/", Authority: v1alpha1.FeedHost},
				Route: []*networkingv1alpha3.HTTPRouteDestination{{
					Destination: destination(PathHost(path), pathPort), Weight: whole,
				}},
				Retries: &networkingv1alpha3.HTTPRetry{
					Attempts: attempts, RetryOn: retryIdempotent, RetryRemoteLocalities: wrapperspb.Bool(true), Backoff: seconds(backoff),
				},
				Headers: withoutMark(),
			}},
		},
	}
}

// feedIngress hands calls of peers to the controller and says which peer it is; what the peer itself says is removed.
func feedIngress(policies []v1alpha1.WANPolicy) Object {
	headers := withoutMark()
	headers.Request = &networkingv1alpha3.Headers_HeaderOperations{
		Remove: []string{v1alpha1.HeaderPeer},
		Set:    map[string]string{v1alpha1.HeaderPeer: sourceValue},
	}
	return &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: ours(feedName, v1alpha1.PartFleet),
		Spec: networkingv1alpha3.VirtualService{
			Hosts:    []string{v1alpha1.FeedHost},
			Gateways: policyGateways(policies),
			ExportTo: onlyHere(),
			Http: []*networkingv1alpha3.HTTPRoute{{
				Route: []*networkingv1alpha3.HTTPRouteDestination{{
					Destination: destination(LocalHost(v1alpha1.FeedServiceName, v1alpha1.Namespace), uint32(v1alpha1.ControllerFeedPort)),
				}},
				Retries: noRetries(),
				Headers: headers,
			}},
		},
	}
}
