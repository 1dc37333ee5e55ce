// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

// What the API server refuses of rules, with the message that it gives; each message of our own stands here.
func TestRulesAreRefusedAtAdmission(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	const high = "backendRefs: [{name: payment-secure-high}]\n"
	seen := map[string]bool{}
	for _, tc := range []struct{ rule, message string }{
		{high, ""},
		{"matches: [{method: GET}]", "a rule needs backendRefs or a RequestRedirect filter, and not both"},
		{high + "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 302}}]", "a rule needs backendRefs or a RequestRedirect filter, and not both"},
		{high + "matches: [{method: GET}, {method: HEAD}]\nfilters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]",
			"path.replacePrefixMatch needs exactly one match, with a path of type PathPrefix"},
		{high + "matches: [{headers: [{name: Host, value: a}]}]", "headers host, x-forwarded-host and x-mcw-* are the gateways' and cannot be matched"},
		{high + "matches: [{headers: [{name: x, value: a}, {name: X-Mcw-Peer, value: a}]}]", "headers host, x-forwarded-host and x-mcw-* are the gateways' and cannot be matched"},
		{high + "matches: [{headers: [{name: x-mcwan, value: a}, {name: x-host, value: a}]}]", ""},
		{high + "filters: [{type: CORS, cors: {allowOrigins: ['*']}}]", "filters can be RequestHeaderModifier, ResponseHeaderModifier, URLRewrite, RequestRedirect and RequestMirror"},
		{high + "filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: A, name: a}}]", "filters can be RequestHeaderModifier, ResponseHeaderModifier, URLRewrite, RequestRedirect and RequestMirror"},
		{high + "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /}}}, {type: RequestRedirect, requestRedirect: {}}]",
			"RequestRedirect and URLRewrite exclude each other"},
		{high + "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [a]}}, {type: RequestHeaderModifier, requestHeaderModifier: {remove: [b]}}]",
			"a filter other than RequestMirror cannot be repeated"},
		{high + "retry: {attempts: 11}", "attempts must be within 0 to 10"},
		{high + "retry: {codes: [500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 512, 513, 514, 515, 516]}", "at most 16 codes"},
		{high + "retry: {backoff: 1s}", "retry.backoff can be kept by the owner's gateway only: of a ServiceExport"},
	} {
		seen[tc.message] = true
		var r mcwanv1alpha1.HTTPRule
		if err := yaml.UnmarshalStrict([]byte(tc.rule), &r); err != nil {
			t.Fatalf("%s: %v", tc.rule, err)
		}
		rules := mcwanv1alpha1.HTTPRules{Rules: []mcwanv1alpha1.HTTPRule{r}}
		name := metav1.ObjectMeta{Namespace: f.namespace, Name: "payment"}
		for kind, obj := range map[string]client.Object{
			"ServiceImport": &mcwanv1alpha1.ServiceImport{ObjectMeta: name, Spec: mcwanv1alpha1.ServiceImportSpec{HTTP: rules}},
			"ServiceExport": &mcwanv1alpha1.ServiceExport{ObjectMeta: name, Spec: mcwanv1alpha1.ServiceExportSpec{HTTP: rules}},
		} {
			want := tc.message
			if strings.HasPrefix(want, "retry.backoff") && kind == "ServiceExport" {
				want = ""
			}
			err := one.Create(t.Context(), obj, client.DryRunAll)
			if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
				t.Errorf("%s with\n%s\nis told %v, want %q", kind, tc.rule, err, want)
			}
		}
	}
	files, err := filepath.Glob("../../api/mcwan/v1alpha1/*_types.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no types: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`XValidation:message="([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			if !seen[m[1]] {
				t.Errorf("%s: no case for %q", file, m[1])
			}
		}
	}
}
