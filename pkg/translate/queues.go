// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"google.golang.org/protobuf/types/known/structpb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// tcpNotsentLowat is Linux's number of TCP_NOTSENT_LOWAT: how much of what a socket was given may be unsent until it takes
	// no more. What is under way does not count, so the congestion window grows as it would. tcp(7), Linux 3.12.
	tcpNotsentLowat = 25
	// maxUnsent is that, and maxBuffered what Envoy keeps for a connection before it stops reading at the other side (1 MiB by
	// default); in bytes. Together with the packet of up to 64 KiB that passes the mark they are 2 s of 1 Mbit/s, within the
	// least time that a ping has (minKeepaliveTimeout). Less costs bulk transfers more (RATIONALE.md).
	maxUnsent   = 64 << 10
	maxBuffered = 128 << 10
	// maxRepeatable is how large a request's body may be to be sent again; in bytes. It is what Envoy's default for
	// connections comes to.
	maxRepeatable = 1 << 20
)

// shortQueues keep what waits for the WAN where services wait apart. All streams of a connection between gateways go through
// its queue, first come first served, and so do the answers to its pings: an upload at the rate of a tunnel of 20 Mbit/s had
// 1.6 MB in the kernel and as much in Envoy before it, everybody on the connection waited for them, up to 5 s, and pings came
// too late. The egress gateway sends what is asked, the ingress gateway what is answered.
func shortQueues() []Object {
	return []Object{
		envoyFilter("short-queues-egress", v1alpha1.GatewayEgress,
			&networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
				ApplyTo: networkingv1alpha3.EnvoyFilter_CLUSTER,
				Match:   gateways(),
				Patch: merge(fields{
					"per_connection_buffer_limit_bytes": number(maxBuffered),
					"upstream_bind_config":              object(fields{"socket_options": list(littleUnsent())}),
				}),
			},
			// What Envoy reads at once goes through the other side's queue at once.
			&networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
				ApplyTo: networkingv1alpha3.EnvoyFilter_LISTENER,
				Match:   gateways(),
				Patch:   merge(fields{"per_connection_buffer_limit_bytes": number(maxBuffered)}),
			},
			&networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
				ApplyTo: networkingv1alpha3.EnvoyFilter_HTTP_ROUTE,
				Match:   routesThatRoute(""),
				Patch:   merge(fields{"request_body_buffer_limit": number(maxRepeatable)}),
			}),
		envoyFilter("short-queues-ingress", v1alpha1.GatewayIngress,
			&networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
				ApplyTo: networkingv1alpha3.EnvoyFilter_LISTENER,
				Match:   gateways(),
				// Connections that a socket accepts have its options.
				Patch: merge(fields{
					"per_connection_buffer_limit_bytes": number(maxBuffered),
					"socket_options":                    list(littleUnsent()),
				}),
			},
			&networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
				ApplyTo: networkingv1alpha3.EnvoyFilter_CLUSTER,
				Match:   gateways(),
				Patch:   merge(fields{"per_connection_buffer_limit_bytes": number(maxBuffered)}),
			}),
	}
}

func littleUnsent() *structpb.Value {
	return socketOption("TCP_NOTSENT_LOWAT", tcpNotsentLowat, maxUnsent)
}
