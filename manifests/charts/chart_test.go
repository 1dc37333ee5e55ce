// SPDX-License-Identifier: Apache-2.0

// Package charts_test renders the chart with the helm that `make test-unit` builds into bin/ (or $HELM).
package charts_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const chart = "mc-wan"

// helm runs helm; without one a test fails, as a skipped golden is one that nobody compares.
func helm(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	path := os.Getenv("HELM")
	if path == "" {
		path = "../../bin/helm"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no helm: %v; run `make test-unit`, which builds it, or set HELM", err)
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"HOME=" + home, "HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return errs.String(), err
	}
	return out.String(), nil
}

func template(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return helm(t, append([]string{"template", "mc-wan", chart, "--namespace", "mc-wan", "--kube-version", "1.36.0"}, args...)...)
}

// Each folder of testdata holds values and what the chart makes of them.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			values := filepath.Join(dir, "values.yaml")
			if _, err := os.Stat(values); err != nil {
				t.Fatalf("%s holds no case: write its values or delete it (%v)", dir, err)
			}
			got, err := template(t, "--values", values)
			if err != nil {
				t.Fatal(got)
			}
			file := filepath.Join(dir, "golden.yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got), -update rewrites it:\n%s", file, diff)
			}
		})
	}
}

func TestLint(t *testing.T) {
	if out, err := helm(t, "lint", chart, "--strict", "--namespace", "mc-wan", "--set", "clusterID=cluster-1"); err != nil {
		t.Errorf("helm lint: %s", out)
	}
}

// What cannot work is refused with what to do.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no cluster id":       {nil, "clusterID is not set: give every cluster of the fleet its own id, such as --set clusterID=cluster-1"},
		"bad cluster id":      {[]string{"--set", "clusterID=Cluster_1"}, "at '/clusterID': 'Cluster_1' does not match pattern"},
		"long cluster id":     {[]string{"--set", "clusterID=" + strings.Repeat("a", 64)}, "at '/clusterID': maxLength"},
		"other namespace":     {[]string{"--set", "clusterID=cluster-1", "--namespace", "default"}, "mc-wan must be installed in namespace mc-wan, not default"},
		"unknown value":       {[]string{"--set", "clusterID=cluster-1", "--set", "gateway.replicas=2"}, "additional properties 'gateway' not allowed"},
		"no replicas":         {[]string{"--set", "clusterID=cluster-1", "--set", "gateways.replicas=0"}, "at '/gateways/replicas': minimum"},
		"label of the chart":  {[]string{"--set", "clusterID=cluster-1", "--set", "gateways.podLabels.app=x"}, "invalid propertyName 'app'"},
		"long account suffix": {[]string{"--set", "clusterID=cluster-1", "--set", "gateways.serviceAccountSuffix=" + strings.Repeat("a", 60)}, "gateways.serviceAccountSuffix is too long"},
		"policy on low port":  {[]string{"--set", "clusterID=cluster-1", "--set", "defaultPolicy.port=80"}, "at '/defaultPolicy/port': minimum"},
		"exposure by mistake": {[]string{"--set", "clusterID=cluster-1", "--set", "gateways.ingress.service.type=Public"}, "value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := template(t, c.args...)
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("error %v, want %q in:\n%s", err, c.want, out)
			}
		})
	}
}

// The controller gets no secrets, no wildcards and, outside mc-wan, no more than the kinds that imports are made of.
func TestRBACIsNarrow(t *testing.T) {
	out, err := template(t, "--set", "clusterID=cluster-1")
	if err != nil {
		t.Fatal(out)
	}
	writable := []string{"endpointslices", "events", "l7serviceexports/status", "l7serviceimports/status", "serviceentries", "serviceexports/status", "serviceimports", "serviceimports/status", "wanpolicies/status"}
	for doc := range strings.SplitSeq(out, "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(doc), &role); err != nil || (role.Kind != "ClusterRole" && role.Kind != "Role") {
			continue
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				if resource == "secrets" || resource == "*" || slices.Contains(rule.Verbs, "*") || slices.Contains(rule.APIGroups, "*") {
					t.Errorf("%s %s/%s: too wide: %v", role.Kind, role.Namespace, role.Name, rule)
				}
				reads := !slices.ContainsFunc(rule.Verbs, func(verb string) bool { return !slices.Contains([]string{"get", "list", "watch"}, verb) })
				if role.Kind == "ClusterRole" && !reads && !slices.Contains(writable, resource) {
					t.Errorf("ClusterRole %s writes %s", role.Name, resource)
				}
			}
		}
	}
}

// Every value of values.yaml stands in the documentation.
func TestValuesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/chart.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	documented := regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)`")
	var names []string
	for _, match := range documented.FindAllStringSubmatch(string(page), -1) {
		names = append(names, match[1])
	}
	for _, name := range leaves("", values) {
		if !slices.ContainsFunc(names, func(n string) bool { return n == name || strings.HasPrefix(name, n+".") }) {
			t.Errorf("docs/chart.md says nothing of %s", name)
		}
	}
}

// leaves are the paths of all values that hold no further values.
func leaves(prefix string, values map[string]any) []string {
	var out []string
	for key, value := range values {
		if inner, isMap := value.(map[string]any); isMap && len(inner) > 0 {
			out = append(out, leaves(prefix+key+".", inner)...)
			continue
		}
		out = append(out, prefix+key)
	}
	slices.Sort(out)
	return out
}
