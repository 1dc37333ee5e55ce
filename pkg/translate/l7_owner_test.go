// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

func TestLimits(t *testing.T) {
	duration := func(s string) *gatewayv1.Duration { return new(gatewayv1.Duration(s)) }
	for _, tc := range []struct {
		name     string
		timeouts *gatewayv1.HTTPRouteTimeouts
		retry    *gatewayv1.HTTPRouteRetry
		headers  string
		wrong    string
	}{
		{"none", nil, nil, "", ""},
		{"request", &gatewayv1.HTTPRouteTimeouts{Request: duration("1h2m")}, nil, "3720000/////", ""},
		{"zero is none", &gatewayv1.HTTPRouteTimeouts{Request: duration("0s"), BackendRequest: duration("50ms")}, nil, "/50////", ""},
		{"retries by default", nil, &gatewayv1.HTTPRouteRetry{}, "//2/connect-failure,refused-stream,reset-before-request//", ""},
		{"no retries", nil, &gatewayv1.HTTPRouteRetry{Attempts: new(0), Codes: []gatewayv1.HTTPRouteRetryStatusCode{500}}, "", ""},
		{"too long", &gatewayv1.HTTPRouteTimeouts{Request: duration("25h")}, nil, "", "timeouts.request: 25h"},
		{"no duration", &gatewayv1.HTTPRouteTimeouts{BackendRequest: duration("soon")}, nil, "", "timeouts.backendRequest: "},
		{"a try longer than all", &gatewayv1.HTTPRouteTimeouts{Request: duration("1s"), BackendRequest: duration("2s")}, nil, "", "timeouts.backendRequest: "},
		{"too many", nil, &gatewayv1.HTTPRouteRetry{Attempts: new(11)}, "", "retry.attempts: 11"},
		{"negative", nil, &gatewayv1.HTTPRouteRetry{Attempts: new(-1)}, "", "retry.attempts: -1"},
		{"a code that is no error", nil, &gatewayv1.HTTPRouteRetry{Codes: []gatewayv1.HTTPRouteRetryStatusCode{200}}, "", "retry.codes"},
		{"a long pause", nil, &gatewayv1.HTTPRouteRetry{Backoff: duration("25h")}, "", "retry.backoff: 25h"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, wrong := limitsOf(tc.timeouts, tc.retry)
			if got := strings.Join(wrong, "; "); !strings.HasPrefix(got, tc.wrong) || (tc.wrong == "") != (got == "") {
				t.Fatalf("wrong: %q, want %q", got, tc.wrong)
			}
			if tc.wrong != "" {
				return
			}
			set := map[string]string{}
			l.tell(set, false)
			got := ""
			for _, h := range limitHeaders() {
				got += set[h[0]] + "/"
			}
			if strings.Trim(got, "/") != strings.Trim(tc.headers, "/") {
				t.Errorf("headers %s, want %s", got, tc.headers)
			}
		})
	}
}

func TestOwnerConditions(t *testing.T) {
	rules := func(header string, ports ...int32) *mcwanv1alpha1.ServiceExport {
		return &mcwanv1alpha1.ServiceExport{
			ObjectMeta: metav1.ObjectMeta{Namespace: "secure", Name: "payment", Generation: 7},
			Spec: mcwanv1alpha1.ServiceExportSpec{HTTP: mcwanv1alpha1.HTTPRules{Rules: []mcwanv1alpha1.HTTPRule{{
				Ports:       ports,
				Matches:     []gatewayv1.HTTPRouteMatch{{Headers: []gatewayv1.HTTPHeaderMatch{{Name: "x", Value: header}}}},
				BackendRefs: []mcwanv1alpha1.BackendRef{{Name: "payment-secure-high"}},
			}}}},
		}
	}
	const accepted, resolved, programmed, conflict = mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ConditionResolvedRefs,
		mcwanv1alpha1.ConditionProgrammed, mcwanv1alpha1.ConditionConflict
	for _, tc := range []struct {
		name   string
		change func(*ExportInput, *mcs.Merged)
		want   map[string]string
	}{
		{"all is well", func(*ExportInput, *mcs.Merged) {}, map[string]string{
			accepted: "True/Accepted", resolved: "True/ResolvedRefs", programmed: "True/Programmed", conflict: "False/NoConflicts"}},
		{"rules of its own", func(in *ExportInput, _ *mcs.Merged) { in.Replaced = true }, map[string]string{programmed: "True/Programmed"}},
		{"nothing is exported", func(in *ExportInput, _ *mcs.Merged) { in.Advertisement = v1alpha1.ServiceAdvertisementSpec{} }, map[string]string{
			accepted: "True/Accepted", resolved: "Unknown/Pending", programmed: "False/NotExported"}},
		{"too large", func(in *ExportInput, _ *mcs.Merged) { in.Rules = rules(strings.Repeat("x", v1alpha1.MaxRulesBytes)) }, map[string]string{
			accepted: "False/TooLarge", programmed: "True/Programmed"}},
		{"a header of odd form", func(in *ExportInput, _ *mcs.Merged) { in.Rules = rules("a\nb") }, map[string]string{
			accepted: "False/UnsupportedValue", programmed: "True/Programmed"}},
		{"no such port", func(in *ExportInput, _ *mcs.Merged) { in.Rules = rules("a", 81) }, map[string]string{
			accepted: "False/NoMatchingParent", programmed: "False/NoHTTPPort"}},
		{"a TCP port", func(in *ExportInput, _ *mcs.Merged) { in.Rules = rules("a", 5432) }, map[string]string{
			accepted: "False/UnsupportedProtocol", programmed: "False/NoHTTPPort"}},
		{"headless", func(in *ExportInput, _ *mcs.Merged) { in.Advertisement.Type = "Headless" }, map[string]string{programmed: "True/Programmed"}},
		{"no policy", func(in *ExportInput, _ *mcs.Merged) { in.Policies = nil }, map[string]string{
			resolved: "False/BackendNotFound", programmed: "False/PolicyNotReady"}},
		{"others say other things", func(_ *ExportInput, m *mcs.Merged) {
			m.RulesConflict = &mcs.Conflict{Reason: mcwanv1alpha1.ReasonRulesConflict, Message: "Conflicting."}
		}, map[string]string{accepted: "True/Accepted", conflict: "True/RulesConflict"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, merged := exported(), mcs.Merged{}
			in.Rules = rules("gold")
			tc.change(&in, &merged)
			got := OwnerConditions(in, merged)
			for kind, want := range tc.want {
				c := meta.FindStatusCondition(got, kind)
				if c == nil || string(c.Status)+"/"+c.Reason != want || c.ObservedGeneration != 7 || c.Message == "" {
					t.Errorf("%s is %+v, want %s", kind, c, want)
				}
			}
		})
	}
	if got := OwnerConditions(exported(), mcs.Merged{}); got != nil {
		t.Errorf("without rules: %v", got)
	}
}
