// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"google.golang.org/protobuf/types/known/structpb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// limitHeaders are the headers of limits, each with the one of Envoy's router that it becomes.
func limitHeaders() [][2]string {
	return [][2]string{
		{v1alpha1.HeaderTimeout, "x-envoy-upstream-rq-timeout-ms"},
		{v1alpha1.HeaderTryTimeout, "x-envoy-upstream-rq-per-try-timeout-ms"},
		{v1alpha1.HeaderRetries, "x-envoy-max-retries"},
		{v1alpha1.HeaderRetryOn, "x-envoy-retry-on"},
		{v1alpha1.HeaderRetryCodes, "x-envoy-retriable-status-codes"},
	}
}

// limitsAreOurs removes what a client says of limits at the egress gateway: rules do.
func limitsAreOurs() Object {
	var mutations []*structpb.Value
	for _, h := range limitHeaders() {
		mutations = append(mutations, object(fields{"remove": text(h[0])}))
	}
	return envoyFilter("limits-are-ours", v1alpha1.GatewayEgress, onRequests(mutations))
}

// limitsAreKept turns what an egress gateway says of limits into the headers by which Envoy's router takes a timeout and
// retries for one request. Those headers cannot cross the wire: a gateway removes them from what comes from outside. Only
// admitted egress gateways get here.
func limitsAreKept() Object {
	var mutations []*structpb.Value
	for _, h := range limitHeaders() {
		mutations = append(mutations, object(fields{"append": object(fields{
			"append_action": text("OVERWRITE_IF_EXISTS_OR_ADD"),
			"header":        object(fields{"key": text(h[1]), "value": text("%REQ(" + h[0] + ")%")}),
		})}), object(fields{"remove": text(h[0])}))
	}
	return envoyFilter("limits-are-kept", v1alpha1.GatewayIngress, onRequests(mutations))
}

// onRequests changes the headers of every request, before its route's own changes.
func onRequests(requestMutations []*structpb.Value) *networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch {
	return &networkingv1alpha3.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: networkingv1alpha3.EnvoyFilter_HTTP_FILTER,
		Match:   networkFilter(filterHCM),
		Patch: &networkingv1alpha3.EnvoyFilter_Patch{
			Operation: networkingv1alpha3.EnvoyFilter_Patch_INSERT_FIRST,
			Value: &structpb.Struct{Fields: fields{
				"name": text(filterHeaderMutation),
				"typed_config": object(fields{
					"@type":     text(typeHeaderMutation),
					"mutations": object(fields{"request_mutations": list(requestMutations...)}),
				}),
			}},
		},
	}
}
