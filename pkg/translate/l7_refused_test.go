// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// ruled is payment with a TCP port beside, and a rule that the text describes.
func ruled(t *testing.T, rule string) LegInput {
	t.Helper()
	in := payment(map[string]int32{"c2": 1})
	in.Exports[0].Ports = append(in.Exports[0].Ports, v1alpha1.AdvertisedPort{Name: "tcp-db", Protocol: corev1.ProtocolTCP, Port: 5432, ReadyBackends: 1})
	in.Merged, in.Offered = mcs.Merge(in.Exports), []string{"high"}
	in.Rules = &mcwanv1alpha1.ServiceImport{ObjectMeta: metav1.ObjectMeta{Namespace: "secure", Name: "payment", Generation: 3}}
	var r mcwanv1alpha1.HTTPRule
	if err := yaml.UnmarshalStrict([]byte(rule), &r); err != nil {
		t.Fatalf("%s: %v", rule, err)
	}
	fine := mcwanv1alpha1.HTTPRule{BackendRefs: []mcwanv1alpha1.BackendRef{{Name: "payment-secure-high"}}}
	in.Rules.Spec.HTTP.Rules = []mcwanv1alpha1.HTTPRule{fine, r}
	return in
}

// What cannot be done is told with the rule, the field, and what to write in its place.
func TestMessagesOfRefusedRules(t *testing.T) {
	const high = "backendRefs: [{name: payment-secure-high}]\n"
	for _, tc := range []struct{ rule, kind, reason, words string }{
		{high + "matches: [{path: {type: RegularExpression, value: '/(a'}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].matches[0].path.value: error parsing regexp: missing closing ): `/(a`; it has to be in RE2 syntax"},
		{high + "matches: [{path: {type: Prefix, value: /a}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].matches[0].path.type: Prefix is not one of Exact, PathPrefix and RegularExpression"},
		{high + "matches: [{path: {value: a}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			`rules[1].matches[0].path.value: "a" does not begin with a slash`},
		{high + "matches: [{}, {headers: [{name: x, type: RegularExpression, value: '\\p{Lu}'}]}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			`rules[1].matches[1].headers[0].value: the regular expression has \p, \P or \x{...}, and is matched with bytes; write [A-Za-z] or \xHH`},
		{high + "matches: [{queryParams: [{name: q, type: RegularExpression, value: 'é'}]}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].matches[0].queryParams[0].value: the regular expression has characters that are not printable ASCII"},
		{high + "matches: [{headers: [{name: x, value: a}, {name: X-Mcw-Peer, value: a}]}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].matches[0].headers[1].name: header X-Mcw-Peer is the gateways', and not what the client has sent; take it out of the match"},
		{high + "filters: [{type: CORS, cors: {allowOrigins: ['*']}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].filters[0].type: CORS is not supported, or lacks the field of its name; there are RequestHeaderModifier, "},
		{high + "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: a}]}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].filters[0].requestHeaderModifier.set[0].name: header Host belongs to the gateways; take it out of the filter"},
		{high + "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: \"b\\nc\"}]}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].filters[0].responseHeaderModifier.add[0].value: a header has no line breaks"},
		{high + "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-mcw-source]}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].filters[0].requestHeaderModifier.remove[0]: header x-mcw-source belongs to the gateways"},
		{high + "filters: [{type: URLRewrite, urlRewrite: {hostname: a.example}}]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].filters[0].urlRewrite.hostname: the service is always asked by its own name, payment.secure.svc.cluster.local; leave the field out"},
		{high + "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]\nmatches: [{path: {value: /" + strings.Repeat("a", maxRegexp) + "}}]",
			mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue, "rules[1].matches[0].path.value: it is too long for its prefix to be replaced"},
		{high + "retry: {backoff: 1s}", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].retry.backoff: only the owner's gateway can keep it (ServiceExport.mc-wan.l7mp.io); leave the field out"},
		{high + "timeouts: {request: 1s, backendRequest: 2s}", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			"rules[1].timeouts.backendRequest: it cannot be longer than timeouts.request"},
		{high + "ports: [81]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonNoSuchPort,
			"rules[1].ports[0]: the service has no port 81; its HTTP ports are 8080"},
		{high + "ports: [5432]", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonNotHTTP,
			"rules[1].ports[0]: port 5432 does not speak HTTP, going by its appProtocol and its name; the service's HTTP ports are 8080"},
		{"backendRefs: [{name: payment-secure-nope}]", mcwanv1alpha1.ConditionResolvedRefs, mcwanv1alpha1.ReasonBackendNotFound,
			"rules[1].backendRefs[0].name: there is no dummy Service payment-secure-nope of this service; there are: payment-secure-high"},
		{"backendRefs: [{name: payment-secure-low}]", mcwanv1alpha1.ConditionResolvedRefs, mcwanv1alpha1.ReasonPolicyNotOffered,
			"rules[1].backendRefs[0].name: no cluster that exports the service offers WANPolicy low; it needs a WANPolicy of that name, or use one of: payment-secure-high"},
		{"backendRefs: [{name: payment-secure-high, namespace: secure}]", mcwanv1alpha1.ConditionResolvedRefs, mcwanv1alpha1.ReasonBackendNotFound,
			"rules[1].backendRefs[0].namespace: dummy Services are in namespace mc-wan, not in secure"},
		{high + "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: payment-secure-high}}}]", mcwanv1alpha1.ConditionResolvedRefs, mcwanv1alpha1.ReasonBackendNotFound,
			"rules[1].filters[0].requestMirror.backendRef.namespace: dummy Services are in namespace mc-wan, not in secure"},
	} {
		c := meta.FindStatusCondition(RulesConditions(ruled(t, tc.rule), nil), tc.kind)
		if c == nil || c.Status != metav1.ConditionFalse || c.Reason != tc.reason || c.ObservedGeneration != 3 || !strings.HasPrefix(c.Message, tc.words) {
			t.Errorf("%s\ngot  %+v\nwant %s=False/%s: %s", tc.rule, c, tc.kind, tc.reason, tc.words)
		}
	}
}

// Envoy would refuse these, and with them every other change to the routes of the gateway: what Go's expressions have beyond
// those of RE2 in bytes, and what compiles to too much.
func TestRegularExpressions(t *testing.T) {
	for text, fine := range map[string]bool{
		"/a.*": true, `/[a-z0-9_-]{1,200}/(?i:x)`: true, `\x7f\d+\Q.\E`: true, "(?P<a>b)": true, strings.Repeat("a", maxRegexp): true,
		"": false, "(": false, `/\pL`: false, `/[\p{Greek}]`: false, `/\x{100}`: false, "/é": false, "/\n": false,
		strings.Repeat("a", maxRegexp+1): false, "[a-z0-9_-]{1000}[a-z0-9_-]{1000}": false, "(a{1000}){2}": false,
	} {
		if err := CheckRegexp(text); (err == nil) != fine {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}
