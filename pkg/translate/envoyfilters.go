// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	clientv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	typeTCPProxy           = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
	typeHCM                = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	typeHeaderMutation     = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
	typePreviousPriorities = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"

	filterTCPProxy           = "envoy.filters.network.tcp_proxy"
	filterHCM                = "envoy.filters.network.http_connection_manager"
	filterHeaderMutation     = "envoy.filters.http.header_mutation"
	retryPreviousPriorities  = "envoy.retry_priorities.previous_priorities"
	tcpConnectAttempts       = 16
	tcpConnectPause          = "0.025s"
	previousPrioritiesUpdate = 1
	// never is how Envoy writes that there is no timeout or window, tcpIdle an hour.
	never   = "0s"
	tcpIdle = "3600s"
	// backendConnectTimeout: within a cluster a handshake takes milliseconds.
	backendConnectTimeout = "1s"
)

// envoyFilters are what Istio's API has no field for. Each is on our gateways alone.
func envoyFilters(policies []v1alpha1.WANPolicy) []Object {
	return append(shortQueues(),
		retryNextHop(), clientAddressChooses(), tcpConnectAttemptsFilter(), unacknowledged(policies), ejectedAtOnce(), limitsAreOurs(), backendsConnectSoon(), noBackendIsRetryable(), limitsAreKept(),
		longLived(v1alpha1.GatewayEgress), longLived(v1alpha1.GatewayIngress), feedSaysWhy(),
	)
}

// Linux's numbers of a socket option that Istio's API has no field for.
const (
	ipProtoTCP     = 6
	tcpUserTimeout = 18
	// minUnacknowledged is the least time that a connection may wait for an acknowledgement after the kernel has first
	// sent something again by its retransmission timer. That takes a round trip and 0.2 s (RFC 6298 with Linux's minimum), and
	// twice as long where a tail loss probe comes first (RFC 8985, section 7). Linux counts on from there while acknowledgements
	// come late: of 2900 POSTs at 20 a second 3 failed when a round trip of 40 ms became 400 ms with this value, so less would
	// take a jump of the round trip for a black hole.
	minUnacknowledged = 300 * time.Millisecond
)

// unacknowledged ends connections into a black hole by the kernel's knowledge: what is sent is not acknowledged. It is
// quicker than HTTP/2 pings wherever something is sent, does not mind a bulk transfer that delays pings, since what moves
// is acknowledged, and is the only thing that frees a TCP leg's connections: keepalives wait while data is under way. What
// was sent again must have the time to be acknowledged over the slowest tunnel. One filter for all paths: a hop that is used
// may be any tunnel's.
func unacknowledged(policies []v1alpha1.WANPolicy) Object {
	most := minUnacknowledged
	for i := range policies {
		most = max(most, roundTrip(&policies[i]))
	}
	return envoyFilter("unacknowledged", v1alpha1.GatewayEgress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_CLUSTER,
		Match:   gateways(),
		Patch: merge(fields{"upstream_bind_config": object(fields{
			"socket_options": list(socketOption("TCP_USER_TIMEOUT", tcpUserTimeout, float64(most.Milliseconds()))),
		})}),
	})
}

// socketOption sets an option of TCP when a socket is made.
func socketOption(description string, name, value float64) *structpb.Value {
	return object(fields{
		"description": text(description),
		"level":       number(ipProtoTCP),
		"name":        number(name),
		"int_value":   number(value),
		"state":       text("STATE_PREBIND"),
	})
}

// ejectedAtOnce: a dead tunnel takes all gateways of a peer along within moments, but Envoy tells its workers of the first
// ejection only at once; what follows within a second waits for that second's end (update_merge_window), and requests go
// into the dead tunnel until then, each for the time of a connect timeout.
func ejectedAtOnce() Object {
	return envoyFilter("ejected-at-once", v1alpha1.GatewayEgress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_CLUSTER,
		Match:   gateways(),
		Patch:   merge(fields{"common_lb_config": object(fields{"update_merge_window": text(never)})}),
	})
}

// retryNextHop: istiod writes update_frequency 2, so that a retry reaches the third rank only on the fifth try; with 1
// each takes the next rank. And max_stream_duration, empty: with it Envoy leaves a client's grpc-timeout to those who can
// tell whose fault it is. istiod's max_grpc_timeout 0 would apply it here, where a deadline that passes counts as a
// failure of the hop, and one slow service would push everyone off a shared path. Only on routes that route: merging into
// a direct response would replace it.
func retryNextHop() Object {
	return envoyFilter("retry-next-hop", v1alpha1.GatewayEgress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_HTTP_ROUTE,
		Match:   routesThatRoute(""),
		Patch: merge(fields{"route": object(fields{
			"max_stream_duration": object(fields{}),
			"retry_policy": object(fields{"retry_priority": object(fields{
				"name": text(retryPreviousPriorities),
				"typed_config": object(fields{
					"@type":            text(typePreviousPriorities),
					"update_frequency": number(previousPrioritiesUpdate),
				}),
			})}),
		})}),
	})
}

// clientAddressChooses is session affinity: a route named nameSticky has several paths, one per exporter, and takes the
// one that a hash of the client's address falls on, where others draw lots for every request. The exporters' shares stay
// what they are, the path goes on choosing the tunnel, and so a dead tunnel moves a client to another tunnel of its
// cluster. Istio's own way, consistentHash, needs all exporters in one path, where a dead tunnel would move the clients
// of all of them. The address is that of the connection, which is the pod's: what a client says in headers counts nothing.
func clientAddressChooses() Object {
	return envoyFilter("session-affinity", v1alpha1.GatewayEgress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_HTTP_ROUTE,
		Match:   routesThatRoute(nameSticky),
		Patch: merge(fields{"route": object(fields{
			"weighted_clusters": object(fields{"use_hash_policy": boolean(true)}),
			"hash_policy":       list(object(fields{"connection_properties": object(fields{"source_ip": boolean(true)})})),
		})}),
	})
}

// longLived is what lets streams and connections live on a gateway for as long as both ends want them. A mesh may set
// timeouts for all its gateways (ProxyConfig.connectionSettings, whose profile EDGE ends a silent stream after five
// minutes), and ours stand in the middle of other people's calls: how long these may take is said by clients, by services
// and by their sidecars. A TCP connection that says nothing goes after tcpIdle, Envoy's own default.
//
// allow_connect lets a WebSocket through on HTTP/2 (RFC 8441), which is what paths speak: the egress gateway's Envoy makes
// an extended CONNECT of a client's Upgrade by itself; the ingress gateway takes it only so, and hands the service an
// Upgrade again. At the egress gateway it is for clients that come on HTTP/2 themselves. A CONNECT of any other kind finds
// no route.
func longLived(gateway string) Object {
	return envoyFilter("long-lived-"+gateway, gateway,
		&networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
			ApplyTo: networkingv1alpha3.EnvoyFilter_NETWORK_FILTER,
			Match:   networkFilter(filterHCM),
			Patch: merge(fields{"typed_config": object(fields{
				"@type":                  text(typeHCM),
				"stream_idle_timeout":    text(never),
				"request_timeout":        text(never),
				"http2_protocol_options": object(fields{"allow_connect": boolean(true)}),
			})}),
		},
		&networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
			ApplyTo: networkingv1alpha3.EnvoyFilter_NETWORK_FILTER,
			Match:   networkFilter(filterTCPProxy),
			Patch: merge(fields{"typed_config": object(fields{
				"@type":        text(typeTCPProxy),
				"idle_timeout": text(tcpIdle),
			})}),
		})
}

// tcpConnectAttemptsFilter: istiod never sets max_connect_attempts, so the first connection after a tunnel has died
// would be lost; with it the client is connected on the next hop. A path's first
// rank has every gateway address of every exporter, and each may have to be tried. The growing pause in between is for
// Envoy itself: a worker learns that the hop is out from the main thread, and without it all attempts can be over before.
func tcpConnectAttemptsFilter() Object {
	return envoyFilter("tcp-connect-attempts", v1alpha1.GatewayEgress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_NETWORK_FILTER,
		Match:   networkFilter(filterTCPProxy),
		Patch: merge(fields{"typed_config": object(fields{
			"@type":                text(typeTCPProxy),
			"max_connect_attempts": number(tcpConnectAttempts),
			"backoff_options":      object(fields{"base_interval": text(tcpConnectPause)}),
		})}),
	})
}

// backendsConnectSoon bounds how long the ingress gateway waits for a connection to a backend, TLS handshake included. A pod
// that went without a word, as with its node, answers nothing until its endpoint goes, and istiod's default of 10 s
// (defaultConnectTimeout of its mesh configuration) is longer than clients wait: of 1400 GETs 18 failed so while all
// backends of a cluster were killed. Nothing was sent then, so the egress gateway tries the next hop.
func backendsConnectSoon() Object {
	return envoyFilter("backends-connect-soon", v1alpha1.GatewayIngress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_CLUSTER,
		Match:   gateways(),
		Patch:   merge(fields{"connect_timeout": text(backendConnectTimeout)}),
	})
}

// noBackendIsRetryable marks the ingress gateway's own answers that mean "no backend here": no healthy upstream,
// connection failure, no cluster, no route. Nothing has reached a backend then, so the egress gateway may try another
// cluster whatever the method. An application's own 503 carries no mark: the routes take it off.
func noBackendIsRetryable() Object {
	flags := list(text("UH"), text("UF"), text("NC"), text("NR"))
	return envoyFilter("no-backend-is-retryable", v1alpha1.GatewayIngress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_NETWORK_FILTER,
		Match:   networkFilter(filterHCM),
		Patch: merge(fields{"typed_config": object(fields{
			"@type": text(typeHCM),
			"local_reply_config": object(fields{"mappers": list(object(fields{
				"filter": object(fields{"response_flag_filter": object(fields{"flags": flags})}),
				"headers_to_add": list(object(fields{
					"header": object(fields{"key": text(headerRatelimited), "value": text("true")}),
				})),
			}))}),
		})}),
	})
}

// feedSaysWhy adds to the egress gateway's own answers on the feed's listener why the connection to the peer failed: Envoy
// leaves it out of the body since it retries, and the controller tells by it a peer that presents another identity than the
// pinned one from a peer that is away.
func feedSaysWhy() Object {
	match := networkFilter(filterHCM)
	match.GetListener().PortNumber = uint32(v1alpha1.EgressFeedPort)
	return envoyFilter("feed-says-why", v1alpha1.GatewayEgress, &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_NETWORK_FILTER,
		Match:   match,
		Patch: merge(fields{"typed_config": object(fields{
			"@type": text(typeHCM),
			"local_reply_config": object(fields{"body_format": object(fields{
				"text_format_source": object(fields{"inline_string": text("%LOCAL_REPLY_BODY%: %UPSTREAM_TRANSPORT_FAILURE_REASON%\n")}),
			})}),
		})}),
	})
}

func envoyFilter(name, gateway string, patches ...*networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch) Object {
	return &clientv1alpha3.EnvoyFilter{
		TypeMeta:   metav1.TypeMeta{APIVersion: clientv1alpha3.SchemeGroupVersion.String(), Kind: "EnvoyFilter"},
		ObjectMeta: ours(name, v1alpha1.PartFleet),
		Spec: networkingv1alpha3.EnvoyFilter{
			WorkloadSelector: &networkingv1alpha3.WorkloadSelector{Labels: selectGateway(gateway)},
			ConfigPatches:    patches,
		},
	}
}

// routesThatRoute are the routes of this name, or of any if it is empty, that lead somewhere.
func routesThatRoute(name string) *networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch {
	return &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch{
		Context: networkingv1alpha3.EnvoyFilter_GATEWAY,
		ObjectTypes: &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch_RouteConfiguration{
			RouteConfiguration: &networkingv1alpha3.EnvoyFilter_RouteConfigurationMatch{
				Vhost: &networkingv1alpha3.EnvoyFilter_RouteConfigurationMatch_VirtualHostMatch{
					Route: &networkingv1alpha3.EnvoyFilter_RouteConfigurationMatch_RouteMatch{
						Name:   name,
						Action: networkingv1alpha3.EnvoyFilter_RouteConfigurationMatch_RouteMatch_ROUTE,
					},
				},
			},
		},
	}
}

func networkFilter(name string) *networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch {
	return &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch{
		Context: networkingv1alpha3.EnvoyFilter_GATEWAY,
		ObjectTypes: &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch_Listener{
			Listener: &networkingv1alpha3.EnvoyFilter_ListenerMatch{
				FilterChain: &networkingv1alpha3.EnvoyFilter_ListenerMatch_FilterChainMatch{
					Filter: &networkingv1alpha3.EnvoyFilter_ListenerMatch_FilterMatch{Name: name},
				},
			},
		},
	}
}

// gateways are all listeners or clusters of a gateway.
func gateways() *networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch {
	return &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectMatch{Context: networkingv1alpha3.EnvoyFilter_GATEWAY}
}

func merge(value fields) *networkingv1alpha3.EnvoyFilter_Patch {
	return &networkingv1alpha3.EnvoyFilter_Patch{
		Operation: networkingv1alpha3.EnvoyFilter_Patch_MERGE,
		Value:     &structpb.Struct{Fields: value},
	}
}

// fields, object, list, text, boolean and number write Envoy configuration as values.
type fields = map[string]*structpb.Value

func object(f fields) *structpb.Value { return structpb.NewStructValue(&structpb.Struct{Fields: f}) }

func list(values ...*structpb.Value) *structpb.Value {
	return structpb.NewListValue(&structpb.ListValue{Values: values})
}

func text(s string) *structpb.Value { return structpb.NewStringValue(s) }

func boolean(b bool) *structpb.Value { return structpb.NewBoolValue(b) }

func number(n float64) *structpb.Value { return structpb.NewNumberValue(n) }
