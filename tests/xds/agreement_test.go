// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/simulation"
	meshconf "istio.io/istio/pkg/config/mesh"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/tests/agreement"
)

var seed = flag.Int64("agreement.seed", 0, "seed of TestExplainAgrees; 0 takes the time")

const (
	agreeServices = 64
	agreeRequests = 20
	// One request in so many at least matches several rules, and one in so many routes that differ in what they do: precedence
	// decides, or the test would be about something else.
	minOverlaps, minDecided = 5, 40
)

// explained is what this test reads of an answer of `mcwanctl explain`.
type explained struct {
	agreement.Request
	Verdict string `json:"verdict"`
	Status  int    `json:"status"`
	Reason  string `json:"reason"`
	Rule    string `json:"rule"`
	Others  []struct {
		Rule string `json:"rule"`
		Why  string `json:"why"`
	} `json:"others"`
	Routes []struct {
		Percent float64 `json:"percent"`
		Cluster string  `json:"cluster"`
		Ingress string  `json:"ingress"`
		Path    string  `json:"path"`
	} `json:"routes"`
}

// TestExplainAgrees: over generated rules with overlapping matches, consumers' and owners', what `mcwanctl explain` says
// of a request is what the routes do that Istio makes of what the controller writes: at the egress gateway, and for
// services of the own cluster at the ingress gateway. Both programs are run as users run them; they share no code for it.
func TestExplainAgrees(t *testing.T) {
	if *seed == 0 {
		*seed = time.Now().UnixNano()
	}
	t.Logf("seed %d: go test -run ExplainAgrees -args -agreement.seed=%d", *seed, *seed)
	g := generator{agreement.New(uint64(*seed))}
	dir := t.TempDir()
	in, requests := filepath.Join(dir, "in.yaml"), filepath.Join(dir, "requests.yaml")
	questions := g.questions()
	save(t, in, g.fleet())
	text, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	save(t, requests, string(text))
	normalization := g.normalization()
	config := meshconf.DefaultMeshConfig()
	config.PathNormalization = &meshconfig.MeshConfig_ProxyPathNormalization{
		Normalization: meshconfig.MeshConfig_ProxyPathNormalization_NormalizationType(meshconfig.MeshConfig_ProxyPathNormalization_NormalizationType_value[normalization]),
	}
	t.Logf("pathNormalization %s", normalization)
	program := filepath.Join(dir, "mcwanctl")
	run(t, "go", "build", "-C", "../..", "-o", program, "./cmd/mcwanctl")
	rendered := split(t, run(t, program, "render", "--cluster-id=cluster-1", "--dummy-services=false", "-f", in))
	var answers []explained
	if err := json.Unmarshal(run(t, program, "explain", "--cluster-id=cluster-1", "-f", in, "--requests", requests,
		"--path-normalization", normalization, "-o", "json"), &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(questions) || len(answers) < 1000 {
		t.Fatalf("%d answers to %d requests", len(answers), len(questions))
	}
	m := startIn(t, config, documents(t, in), rendered)
	compare(t, m, legPorts(t, rendered), answers)
}

func compare(t *testing.T, m mesh, ports map[string]int, answers []explained) {
	t.Helper()
	egress, ingress := m.egress(), m.ingress()
	atEgress, atIngress := map[string][]*route.Route{}, map[string][]*route.Route{}
	seen, overlaps, decided := map[string]int{}, 0, 0
	for _, a := range answers {
		if atEgress[a.Service] == nil {
			atEgress[a.Service] = egress.routesFor(plain(ports[a.Service], simulation.HTTP, "any.example.org"))
		}
		r := request{a.Method, normalized(manager(t, egress, fmt.Sprintf("0.0.0.0_%d", ports[a.Service])), a.Path), a.Headers}
		want, got := a.atEgress(), outcome(egress.first(atEgress[a.Service], r))
		if want != got {
			t.Errorf("%s %s %s %v: explain says %s (%s, %s), Envoy does %s", a.Service, a.Method, a.Path, a.Headers, want, a.Rule, a.Reason, got)
		}
		kind, _, _ := strings.Cut(want, " ")
		seen[kind]++
		if a.matched() > 1 {
			overlaps++
		}
		if egress.outcomes(atEgress[a.Service], r) > 1 {
			decided++
		}
		if len(a.Routes) == 0 || a.Routes[0].Cluster != "cluster-1" {
			continue
		}
		if atIngress[a.Service] == nil {
			name, namespace, _ := strings.Cut(a.Service, "/")
			wire := fmt.Sprintf("p8080.%s.%s.svc.clusterset.local", name, namespace)
			atIngress[a.Service] = ingress.routesFor(mtls(31111, simulation.HTTP2, wire, wan))
		}
		r.path = normalized(manager(t, ingress, "0.0.0.0_31111"), r.path)
		does, _, _ := strings.Cut(outcome(ingress.first(atIngress[a.Service], r)), " ")
		says := map[string]string{"denied": "403", "fails": "500", "allowed": "routes", "": "routes"}
		said, _, _ := strings.Cut(a.Routes[0].Ingress, " ")
		if says[said] != does {
			t.Errorf("%s %s %s %v at the ingress: explain says %q, Envoy does %s", a.Service, a.Method, a.Path, a.Headers, a.Routes[0].Ingress, does)
		}
		seen["ingress "+does]++
	}
	t.Logf("%d requests, %d of which match several rules, %d routes that differ in what they do: %v", len(answers), overlaps, decided, seen)
	if overlaps < len(answers)/minOverlaps || decided < len(answers)/minDecided {
		t.Errorf("of %d requests %d match several rules, want one in %d, and %d routes that differ in what they do, want one in %d",
			len(answers), overlaps, minOverlaps, decided, minDecided)
	}
	for _, kind := range []string{"403", "500", "302", "routes", "ingress 403", "ingress routes"} {
		if seen[kind] == 0 {
			t.Errorf("no request with %s was generated: %v", kind, seen)
		}
	}
}

// matched is how many rules the request matches.
func (a explained) matched() int {
	rules := map[string]bool{}
	add := func(place string) {
		rule, _, _ := strings.Cut(place, "]")
		rules[rule] = true
	}
	if a.Rule != "" {
		add(a.Rule)
	}
	for _, o := range a.Others {
		if strings.HasPrefix(o.Why, "it matches too") {
			add(o.Rule)
		}
	}
	return len(rules)
}

// outcomes is how many different things the routes do that a request matches, without the denial that ends every list.
func (p proxy) outcomes(routes []*route.Route, r request) int {
	p.t.Helper()
	all := map[string]bool{}
	for _, candidate := range routes[:len(routes)-1] {
		if r.matches(p, candidate.Match) {
			all[outcome(candidate)] = true
		}
	}
	return len(all)
}

// normalized is a path as an Envoy with these settings reads it, in Envoy's order: escaped slashes, RFC 3986, runs of slashes.
func normalized(m *hcm.HttpConnectionManager, uri string) string {
	name, query, has := strings.Cut(uri, "?")
	if m.GetPathWithEscapedSlashesAction() == hcm.HttpConnectionManager_UNESCAPE_AND_FORWARD {
		name = regexp.MustCompile("(?i)%2f").ReplaceAllString(name, "/")
		name = regexp.MustCompile("(?i)%5c").ReplaceAllString(name, `\`)
	}
	if m.GetNormalizePath().GetValue() {
		name = strings.ReplaceAll(name, `\`, "/")
		name = regexp.MustCompile("(?i)%2e").ReplaceAllString(name, ".")
		name = strings.ReplaceAll(name, "%61", "a")
		// A dot segment takes the one before it along, which may be empty: path.Clean would merge slashes.
		for regexp.MustCompile(`/\.(/|$)`).MatchString(name) {
			name = regexp.MustCompile(`/\.(/|$)`).ReplaceAllString(name, "/")
		}
		for up := regexp.MustCompile(`(^|/[^/]*)/\.\.(/|$)`); up.MatchString(name); {
			at := up.FindStringIndex(name)
			name = name[:at[0]] + "/" + name[at[1]:]
		}
	}
	if m.GetMergeSlashes() {
		name = regexp.MustCompile("//+").ReplaceAllString(name, "/")
	}
	if has {
		return name + "?" + query
	}
	return name
}

// atEgress is what the egress gateway does, in the words of outcome.
func (a explained) atEgress() string {
	if len(a.Routes) == 0 {
		return fmt.Sprint(a.Status)
	}
	var parts []string
	for _, r := range a.Routes {
		path := r.Path
		if path == "" {
			path = "unresolved.wan.mcw.internal"
		}
		parts = append(parts, fmt.Sprintf("%s=%.1f", path, r.Percent))
	}
	slices.Sort(parts)
	return "routes " + strings.Join(slices.Compact(parts), " ")
}

// outcome is what a route does: its status, or the hosts that it leads to with their percentages.
func outcome(r *route.Route) string {
	switch {
	case r == nil:
		return "nothing"
	case r.GetRedirect() != nil:
		return "302"
	case r.GetDirectResponse() != nil:
		return fmt.Sprint(r.GetDirectResponse().GetStatus())
	}
	weights, total := map[string]float64{}, 0.0
	if c := r.GetRoute().GetCluster(); c != "" {
		weights[host(c)], total = 1, 1
	}
	for _, c := range r.GetRoute().GetWeightedClusters().GetClusters() {
		weights[host(c.Name)] += float64(c.Weight.Value)
		total += float64(c.Weight.Value)
	}
	var parts []string
	for name, w := range weights {
		parts = append(parts, fmt.Sprintf("%s=%.1f", name, 100*w/total))
	}
	slices.Sort(parts)
	return "routes " + strings.Join(parts, " ")
}

func host(cluster string) string { return cluster[strings.LastIndex(cluster, "|")+1:] }

// legPorts are the plain listener ports by service, NAME/NAMESPACE.
func legPorts(t *testing.T, rendered []document) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, d := range rendered {
		var gateway struct {
			Kind     string
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Servers []struct {
					Port struct {
						Number   int
						Protocol string
					}
				}
			}
		}
		if err := yaml.Unmarshal([]byte(d.text), &gateway); err != nil {
			t.Fatal(err)
		}
		l := gateway.Metadata.Labels
		if gateway.Kind == "Gateway" && l["mcw.l7mp.io/part"] == "leg" {
			out[l["mcw.l7mp.io/service-name"]+"/"+l["mcw.l7mp.io/service-namespace"]] = gateway.Spec.Servers[0].Port.Number
		}
	}
	return out
}

func save(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, argv ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, stderr.String())
	}
	return out
}
