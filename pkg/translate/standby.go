// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"google.golang.org/protobuf/types/known/wrapperspb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// standbyName names the VirtualService of the ingress gateway that answers what keeps connections open.
	standbyName = "ingress-standby"
	// standbyFirst asks for the next rank, whose connection the call is for; standbyLast is the answer there.
	standbyFirst, standbyLast = 204, 200
	retryStandby              = "retriable-status-codes,204,connect-failure,refused-stream,reset"
	// standbyRetries: the rank in use and the one that comes next.
	standbyRetries = 1
	// headerAttempt counts attempts; Istio's gateways send it unless the mesh says otherwise (proxyHeaders.attemptCount), and
	// then the second answer is as the first.
	headerAttempt = "x-envoy-attempt-count"
)

// StandbyURI is where the egress gateway's feed port leads over a path for the sake of its connections alone.
func StandbyURI(path string) string { return "/standby/" + path }

// IsStandbyAnswer tells whether a status is what a peer's ingress gateway answers.
func IsStandbyAnswer(status int) bool { return status == standbyFirst || status == standbyLast }

// standbyRoute leads over a path to the peer's ingress gateway, which answers itself, and then over the next rank. Envoy
// has connections of its own per cluster, hop and worker, and opens them for requests only: its preconnecting knows the
// rank in use alone, and its health checks have connections of their own. So what opens one is a request that
// is tried again.
func standbyRoute(key PathKey) *networkingv1alpha3.HTTPRoute {
	return &networkingv1alpha3.HTTPRoute{
		Match: []*networkingv1alpha3.HTTPMatchRequest{{
			Uri: &networkingv1alpha3.StringMatch{MatchType: &networkingv1alpha3.StringMatch_Exact{Exact: StandbyURI(PathName(key))}},
		}},
		Rewrite: &networkingv1alpha3.HTTPRewrite{Uri: "/", Authority: v1alpha1.StandbyHost},
		Route:   []*networkingv1alpha3.HTTPRouteDestination{{Destination: destination(PathHost(key), pathPort), Weight: whole}},
		Retries: &networkingv1alpha3.HTTPRetry{
			Attempts: standbyRetries, RetryOn: retryStandby, RetryRemoteLocalities: wrapperspb.Bool(true), Backoff: seconds(backoff),
		},
		Headers: withoutMark(),
	}
}

// standbyIngress answers the calls of peers that keep their connections open.
func standbyIngress(policies []v1alpha1.WANPolicy) Object {
	last := &networkingv1alpha3.HTTPMatchRequest{Headers: map[string]*networkingv1alpha3.StringMatch{
		headerAttempt: {MatchType: &networkingv1alpha3.StringMatch_Exact{Exact: itoa(1 + standbyRetries)}},
	}}
	return &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: ours(standbyName, v1alpha1.PartFleet),
		Spec: networkingv1alpha3.VirtualService{
			Hosts:    []string{v1alpha1.StandbyHost},
			Gateways: policyGateways(policies),
			ExportTo: onlyHere(),
			Http: []*networkingv1alpha3.HTTPRoute{
				{Match: []*networkingv1alpha3.HTTPMatchRequest{last}, DirectResponse: &networkingv1alpha3.HTTPDirectResponse{Status: standbyLast}},
				{DirectResponse: &networkingv1alpha3.HTTPDirectResponse{Status: standbyFirst}},
			},
		},
	}
}
