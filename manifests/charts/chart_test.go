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
		"policy on low port":  {[]string{"--set", "clusterID=cluster-1", "--set", "defaultPolicy.port=80"}, "at '/defaultPolicy/port': minimum: got 80, want 1,024"},
		"policy on feed port": {[]string{"--set", "clusterID=cluster-1", "--set", "defaultPolicy.port=9443"}, "at '/defaultPolicy/port': minimum: got 9,443, want 9,445"},
		"policy on leg port":  {[]string{"--set", "clusterID=cluster-1", "--set", "defaultPolicy.port=20000"}, "at '/defaultPolicy/port': minimum: got 20,000, want 30,000"},
		"policy on own port":  {[]string{"--set", "clusterID=cluster-1", "--set", "defaultPolicy.port=15021"}, "at '/defaultPolicy/port': minimum: got 15,021, want 30,000"},
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

// The controller gets no secrets, no wildcards and, outside mc-wan, no more than the kinds that imports are made of. What
// is not Istio's or ours it reads and changes by name only.
func TestRBACIsNarrow(t *testing.T) {
	const read, write, own = "get list watch", "get list watch create patch delete", "mc-wan"
	out, err := template(t, "--set", "clusterID=cluster-1", "--set", "istio.revision=canary")
	if err != nil {
		t.Fatal(out)
	}
	want := map[string]string{ // namespace, resource.group and names: verbs
		" services": read, " namespaces": read, " events.events.k8s.io": "create patch",
		" endpointslices.discovery.k8s.io":                 write,
		" clusterproperties.about.k8s.io":                  read,
		" serviceexports.multicluster.x-k8s.io":            read,
		" serviceimports.multicluster.x-k8s.io":            write,
		" l7serviceexports.mc-wan.l7mp.io":                 read,
		" l7serviceimports.mc-wan.l7mp.io":                 read,
		" wanpolicies.mcw.l7mp.io":                         read,
		" serviceentries.networking.istio.io":              write,
		" servicecidrs.networking.k8s.io":                  read,
		"istio-system configmaps istio-canary":             read,
		"istio-system deployments.apps istiod-canary":      read,
		own + " services":                                  "create patch delete",
		own + " configmaps istio-ca-root-cert":             read,
		own + " configmaps mcw-leg-ports":                  "get update",
		own + " configmaps":                                "create",
		own + " leases.coordination.k8s.io mcw-controller": "get update",
		own + " leases.coordination.k8s.io":                "create",
		own + " events":                                    "create patch",
		own + " peers.mcw.l7mp.io":                         read,
		own + " serviceadvertisements.mcw.l7mp.io":         write,
		own + " serviceadvertisements/status.mcw.l7mp.io":  "patch",
		own + " clusteradvertisements.mcw.l7mp.io":         write,
	}
	for _, kind := range []string{"serviceexports.multicluster.x-k8s.io", "serviceimports.multicluster.x-k8s.io", "l7serviceexports.mc-wan.l7mp.io", "l7serviceimports.mc-wan.l7mp.io", "wanpolicies.mcw.l7mp.io"} {
		resource, group, _ := strings.Cut(kind, ".")
		want[" "+resource+"/status."+group] = "patch"
	}
	want[own+" peers/status.mcw.l7mp.io"] = "patch"
	for _, kind := range []string{"gateways.networking", "virtualservices.networking", "destinationrules.networking", "envoyfilters.networking", "authorizationpolicies.security", "peerauthentications.security"} {
		want[own+" "+kind+".istio.io"] = write
	}
	if diff := cmp.Diff(want, permissions(t, out)); diff != "" {
		t.Errorf("what the controller may do (-want +got):\n%s", diff)
	}
}

// permissions are the verbs of all roles by "namespace resource.group name"; the namespace is empty where they hold
// everywhere, the name where they hold for all names.
func permissions(t *testing.T, manifests string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for doc := range strings.SplitSeq(manifests, "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(doc), &role); err != nil || (role.Kind != "ClusterRole" && role.Kind != "Role") {
			continue
		}
		if role.Name == "mcw-edit" || role.Name == "mcw-view" {
			continue // users', see TestUserRoles
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					what := strings.TrimSuffix(resource+"."+group, ".")
					key := strings.TrimSuffix(role.Namespace+" "+what+" "+strings.Join(rule.ResourceNames, ","), " ")
					if out[key] != "" {
						t.Errorf("two rules are for %q", key)
					}
					out[key] = strings.Join(rule.Verbs, " ")
				}
			}
		}
	}
	return out
}

// Editors of a namespace may write rules, and nothing that says whom the cluster trusts.
func TestUserRoles(t *testing.T) {
	out, err := template(t, "--set", "clusterID=cluster-1")
	if err != nil {
		t.Fatal(out)
	}
	seen := map[string]string{}
	for doc := range strings.SplitSeq(out, "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(doc), &role); err != nil || role.Kind != "ClusterRole" {
			continue
		}
		for label := range role.Labels {
			if to, ok := strings.CutPrefix(label, "rbac.authorization.k8s.io/aggregate-to-"); ok {
				for _, rule := range role.Rules {
					seen[to] += strings.Join(rule.Resources, " ") + ";"
				}
			}
		}
	}
	if seen["edit"] != "l7serviceexports l7serviceimports;" ||
		seen["view"] != "l7serviceexports l7serviceimports;peers clusteradvertisements serviceadvertisements;" || len(seen) != 2 {
		t.Errorf("%v", seen)
	}
}

// Dummy Services are made unless a value says otherwise.
func TestDummyServices(t *testing.T) {
	for value, want := range map[string]bool{"true": false, "false": true} {
		out, err := template(t, "--set", "clusterID=cluster-1", "--set", "dummyServices.enabled="+value)
		if err != nil {
			t.Fatal(out)
		}
		if got := strings.Contains(out, "--dummy-services=false"); got != want {
			t.Errorf("dummyServices.enabled=%s: the controller is told so: %t", value, got)
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
