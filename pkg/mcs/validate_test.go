// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*export)
		want string // the field that the error names; empty = valid
	}{
		"good":                   {func(*export) {}, ""},
		"cluster id":             {func(e *export) { e.ClusterID = "a.b" }, "clusterID"},
		"no creation time":       {func(e *export) { e.ExportedAt = metav1.Time{} }, "exportedAt"},
		"too new":                {func(e *export) { e.MinReader = v1alpha1.ReaderVersion + 1 }, "minReader"},
		"type":                   {func(e *export) { e.Type = "ExternalName" }, "type"},
		"port number":            {ports(tcp("x", 0)), "ports[0].port"},
		"port number too big":    {ports(tcp("x", 65536)), "ports[0].port"},
		"protocol":               {ports(v1alpha1.AdvertisedPort{Protocol: "ICMP", Port: 1}), "ports[0].protocol"},
		"port name":              {ports(tcp("X Y", 1)), "ports[0].name"},
		"port name twice":        {ports(tcp("x", 1), tcp("x", 2)), "ports[1].name"},
		"port number twice":      {ports(tcp("x", 1), tcp("y", 1)), "ports[1].port"},
		"affinity":               {func(e *export) { e.SessionAffinity = "Cookie" }, "sessionAffinity"},
		"affinity timeout":       {func(e *export) { e.SessionAffinityConfig = affinity(86401) }, "sessionAffinityConfig.clientIP.timeoutSeconds"},
		"family":                 {func(e *export) { e.IPFamilies = []corev1.IPFamily{"IPX"} }, "ipFamilies[0]"},
		"family twice":           {func(e *export) { e.IPFamilies = []corev1.IPFamily{"IPv4", "IPv4"} }, "ipFamilies[1]"},
		"internal":               {func(e *export) { e.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicy("Far")) }, "internalTrafficPolicy"},
		"too many annotations":   {func(e *export) { e.ExportedAnnotations = map[string]string{"a": strings.Repeat("x", 1<<19)} }, "exportedAnnotations"},
		"too many labels":        {func(e *export) { e.ExportedLabels = manyLabels(MaxExportedKeys + 1) }, "exportedLabels"},
		"many labels":            {func(e *export) { e.ExportedLabels = manyLabels(MaxExportedKeys) }, ""},
		"two things are told":    {func(e *export) { e.Type, e.IPFamilies = "", []corev1.IPFamily{"IPX"} }, "type"},
		"an unusable label":      {func(e *export) { e.ExportedLabels = map[string]string{"a b": ""} }, ""},
		"as many ports as it is": {func(e *export) { e.Ports = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Validate(exportOf("a", 1, tc.edit))
			if (err == nil) != (tc.want == "") || (err != nil && !strings.HasPrefix(err.Error(), tc.want+": ")) {
				t.Errorf("Validate = %v, want an error about %q", err, tc.want)
			}
		})
	}
}

func manyLabels(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprint("label-", i)] = ""
	}
	return out
}

// The table in the package comment names functions of this package, and every rule is in it.
func TestTableOfRulesIsTrue(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	functions, table := map[string]bool{}, ""
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && !strings.HasSuffix(name, "_test.go") {
				functions[f.Name.Name] = true
			}
		}
		if name == "doc.go" {
			table = file.Doc.Text()
		}
	}
	for _, word := range regexp.MustCompile(`\b(merge[A-Z]\w+|byPrecedence|exposes|ExportConditions)\b`).FindAllString(table, -1) {
		if !functions[word] {
			t.Errorf("the table names %s, which is no function", word)
		}
	}
	for name := range functions {
		if strings.HasPrefix(name, "merge") && name != "mergedPort" && !strings.Contains(table, name) {
			t.Errorf("the rule %s is not in the table", name)
		}
	}
}

func affinity(seconds int32) *corev1.SessionAffinityConfig {
	return &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
}

func TestIgnoredAreNamed(t *testing.T) {
	m := Merge([]export{exportOf("c", 1, func(e *export) { e.Type = "" }), exportOf("a", 2), exportOf("a", 1), exportOf("b", 3)})
	var got []string
	for _, i := range m.Ignored {
		got = append(got, i.ClusterID+": "+i.Err.Error())
	}
	want := []string{
		`a: clusterID: "a" has another export of this name, of higher precedence; remove one`,
		`c: type: "" is neither ClusterSetIP nor Headless`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, m.Clusters); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
}

// TestUnusableMetadataStaysOut: one invalid label would make the API server refuse the whole import.
func TestUnusableMetadataStaysOut(t *testing.T) {
	labels := map[string]string{"team": "pay", "a b": "x", "app": "not a value!", "mcw.l7mp.io/part": "leg", "app.kubernetes.io/managed-by": "me", "Example.com/X": "y", "mc-wan.l7mp.io/a": "b", "l7mp.io/a": "b", "notl7mp.io/a": "b"}
	kept, refused := ExportableLabels(labels)
	if diff := cmp.Diff(map[string]string{"team": "pay", "notl7mp.io/a": "b"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Example.com/X", "a b", "app", "app.kubernetes.io/managed-by", "l7mp.io/a", "mc-wan.l7mp.io/a", "mcw.l7mp.io/part"}, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	kept, refused = ExportableAnnotations(map[string]string{"note": "any text!", "Example.com/X": "", "": "x", "MCW.l7mp.io/part": "leg"})
	if diff := cmp.Diff(map[string]string{"note": "any text!", "Example.com/X": ""}, kept); diff != "" || len(refused) != 2 {
		t.Errorf("kept (-want +got):\n%s refused %q", diff, refused)
	}
	m := Merge([]export{exportOf("a", 1, func(e *export) { e.ExportedLabels = labels })})
	if _, there := m.Labels["a b"]; there || m.Labels["team"] != "pay" {
		t.Errorf("labels = %v", m.Labels)
	}
}
