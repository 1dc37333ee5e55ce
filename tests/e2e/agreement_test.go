// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/agreement"
	"github.com/l7mp/mc-wan/tests/story"
)

// agreedRequests is how many requests each set of rules is asked, by each of the clients.
const agreedRequests = 30

// agreed is the service: the ports are an HTTP one and one for WebSockets.
func agreed() agreement.Service {
	return agreement.Service{Name: "agreed", Namespace: "secure", Ports: []int{8080, 8081}, Valid: true}
}

// said is what this test reads of an answer of `mcwanctl explain`.
type said struct {
	agreement.Request
	Verdict string `json:"verdict"`
	Status  int    `json:"status"`
	Rules   string `json:"rules"`
	Rule    string `json:"rule"`
	Reason  string `json:"reason"`
	Routes  []struct {
		Status int `json:"status"`
		Hops   []struct {
			Port int `json:"port"`
		} `json:"hops"`
	} `json:"routes"`
}

// did is what became of a request: the status, the WANPolicy's port by which it reached the backend, and the consumer's
// rule that marked the answer. The last two are empty where they are not known.
type did struct{ status, port, rule string }

func (d did) String() string {
	return fmt.Sprintf("%s by port %q, rule %q", d.status, d.port, d.rule)
}

// explainAgrees: what `mcwanctl explain` says of requests is what real Envoys do with them, over a sample of the rules that
// TestExplainAgrees of tests/xds generates: a consumer's, the owner's, and both.
func explainAgrees(t *testing.T, env *story.Env) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MCWAN_AGREEMENT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("MCWAN_AGREEMENT_SEED: %v", err)
		}
	}
	t.Logf("seed %d: MCWAN_AGREEMENT_SEED=%d plays it again", seed, seed)
	w := &traffic{t: t, ctx: t.Context(), clusters: env.Clusters(), wan: env.WAN}
	w.deploy(env.Exporter, "12-protocols.yaml", "protocols", agreed().Name)
	w.ok(env.Exporter.WaitReady(w.ctx, story.NamespaceSidecar, agreed().Name))
	ask := explainer(t, env)
	g := agreement.New(seed)
	for _, round := range []struct{ name, consumer, owner string }{
		{"consumer", "yes", ""}, {"owner", "", "Allowed"}, {"both", "yes", "Allowed"}, {"owner-refuses", "yes", "Refused"}, {"consumer-again", "yes", ""},
	} {
		t.Run(round.name, func(t *testing.T) {
			w := w.in(t)
			marker := "/" + round.name
			if round.owner != "" {
				w.rules(env.Exporter, "ServiceExport", map[string]any{"consumerRules": round.owner, "http": map[string]any{"rules": marked(g.Rules(agreed()), marker)}})
			}
			if round.consumer != "" {
				w.rules(env.Consumer, "ServiceImport", map[string]any{"http": map[string]any{"rules": marked(g.Rules(agreed()), marker)}})
			}
			questions := []agreement.Request{{Service: "agreed/secure", Method: "GET", Path: marker}}
			for len(questions) < agreedRequests {
				if q := g.Request(agreed()); echoes(q.Path) {
					q.Port = agreement.Pick(g, agreed().Ports...)
					questions = append(questions, q)
				}
			}
			for _, ns := range []string{story.NamespacePlain, story.NamespaceSidecar} {
				w.agree(ask, w.client(ns), questions)
			}
		})
	}
}

// echoes says whether the echo backend answers a path itself: Go's ServeMux redirects those with empty segments.
func echoes(path string) bool {
	p := strings.ToLower(path)
	return !strings.Contains(p, "//") && !strings.Contains(p, "%2f") && !strings.Contains(p, "%5c")
}

// marked has each rule mark its answers, and adds one for a path that no other rules are for: once it is answered, these
// are in force.
func marked(rules []agreement.Fields, path string) []any {
	rules = append(rules, agreement.Fields{
		"matches":     []agreement.Fields{{"path": agreement.Fields{"type": "Exact", "value": path}}},
		"backendRefs": []agreement.Fields{{"name": "agreed-secure-sd-wan-priority-high", "namespace": "mc-wan"}},
	})
	var out []any
	for i, r := range rules {
		if r["filters"] == nil {
			r["filters"] = []agreement.Fields{{"type": "ResponseHeaderModifier", "responseHeaderModifier": agreement.Fields{"set": []agreement.Fields{{"name": "x-rule", "value": fmt.Sprint(i)}}}}}
		}
		out = append(out, r)
	}
	return out
}

// rules applies an object of group mc-wan.l7mp.io for as long as the test lasts.
func (w *traffic) rules(c *story.Cluster, kind string, spec map[string]any) {
	w.t.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": "mc-wan.l7mp.io/v1alpha1", "kind": kind, "metadata": map[string]any{"namespace": agreed().Namespace, "name": agreed().Name}, "spec": spec,
	})
	w.ok(err)
	o := &unstructured.Unstructured{}
	w.ok(o.UnmarshalJSON(text))
	w.t.Logf("%s", text)
	w.t.Cleanup(func() {
		if err := client.IgnoreNotFound(c.Delete(context.WithoutCancel(w.ctx), o)); err != nil {
			w.t.Error(err)
		}
	})
	w.ok(c.ApplyObject(w.ctx, o))
}

// agree waits until a client's requests are answered as explain says. It is asked each time: the rules may be on their way.
func (w *traffic) agree(ask func(context.Context, []agreement.Request) ([]said, error), c *story.Client, questions []agreement.Request) {
	w.t.Helper()
	var wrong, right []string
	err := story.Eventually(w.ctx, time.Minute, "explain and Envoys agree", func(ctx context.Context) error {
		answers, err := ask(ctx, questions)
		if err != nil {
			return err
		}
		if answers[0].Verdict != "Forwarded" {
			return fmt.Errorf("%s is not let through yet: %s", questions[0].Path, answers[0].Reason)
		}
		out, err := c.Run(ctx, "sh", "-c", script(questions))
		if err != nil {
			return err
		}
		got := strings.Split(strings.TrimSpace(out), "\n")
		if len(got) != len(answers) {
			return fmt.Errorf("%d answers to %d requests", len(got), len(answers))
		}
		wrong, right = nil, nil
		for i, a := range answers {
			says := fmt.Sprintf("%s %s %s :%d %v", a.Service, a.Method, a.Path, a.Port, a.Headers)
			if d := read(got[i]); a.allows(d) {
				right = append(right, fmt.Sprintf("%s: %s", says, d))
			} else {
				wrong = append(wrong, fmt.Sprintf("%s: explain says %v (%s, %s, %s), Envoy answers %s", says, a.expected(), a.Rules, a.Rule, a.Reason, d))
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%d requests of %d differ:\n%s", len(wrong), len(questions), strings.Join(wrong, "\n"))
		}
		return nil
	})
	if err != nil {
		w.t.Fatalf("%s: %v", c.Name(), err)
	}
	w.t.Logf("%s: %d requests:\n%s", c.Name(), len(right), strings.Join(right, "\n"))
}

// expected are the answers that a client may get: one for each route, for weights choose among them.
func (a said) expected() []did {
	if len(a.Routes) == 0 {
		return []did{{status: fmt.Sprint(a.Status)}}
	}
	rule := ""
	if strings.HasPrefix(a.Rules, "ServiceImport") {
		rule, _, _ = strings.Cut(strings.TrimPrefix(a.Rule, "rules["), "]")
	}
	var out []did
	for _, r := range a.Routes {
		if r.Status != 0 {
			out = append(out, did{status: fmt.Sprint(r.Status)})
			continue
		}
		if len(r.Hops) == 0 {
			out = append(out, did{status: "503"})
			continue
		}
		out = append(out, did{"200", fmt.Sprint(r.Hops[0].Port), rule})
	}
	return out
}

// allows says whether an answer is among those expected. What is not known is not compared: HEAD has no body to tell the
// port, and only consumers' rules mark their answers for certain.
func (a said) allows(d did) bool {
	return slices.ContainsFunc(a.expected(), func(e did) bool {
		return e.status == d.status && (e.port == d.port || e.port == "" || a.Method == "HEAD") && (e.rule == d.rule || e.rule == "")
	})
}

// script sends the requests, with paths as they are, and prints a line "STATUS rule=RULE port=PORT" of each.
func script(questions []agreement.Request) string {
	var b strings.Builder
	b.WriteString(`ask() { url=$1; shift
out=$(curl -s --path-as-is --globoff --max-time 10 -w '\n%{http_code} rule=%header{x-rule}' "$@" "$url")
echo "$(printf '%s' "$out" | tail -n 1) port=$(printf '%s' "$out" | grep -io '"` + mcw.HeaderWANPort + `":\["[0-9]*' | grep -o '[0-9]*$')"; }
`)
	for _, q := range questions {
		how := "-X " + q.Method
		if q.Method == "HEAD" {
			how = "-I -o /dev/null"
		}
		fmt.Fprintf(&b, "ask 'http://agreed.secure.svc.clusterset.local:%d%s' %s", max(q.Port, 8080), q.Path, how)
		for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
			fmt.Fprintf(&b, " -H '%s: %s'", name, q.Headers[name])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// read reads a line of script.
func read(line string) (d did) {
	d.status, line, _ = strings.Cut(line, " rule=")
	d.rule, d.port, _ = strings.Cut(line, " port=")
	return d
}

// explainer runs the command as a user does, on the consumer's cluster.
func explainer(t *testing.T, env *story.Env) func(context.Context, []agreement.Request) ([]said, error) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mcwanctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/mcwanctl").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	kubeconfig := os.Getenv("KUBECONFIG")
	if sandbox := strings.Fields(os.Getenv("MCWAN_SANDBOX")); len(sandbox) > 0 {
		kubeconfig = sandboxKubeconfig(t, sandbox)
	}
	return func(ctx context.Context, questions []agreement.Request) ([]said, error) {
		in, err := json.Marshal(questions)
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, program, "--kubeconfig", kubeconfig, "--context", env.Consumer.Name, "explain", "--requests", "-", "-o", "json")
		cmd.Stdin = bytes.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, stderr.String())
		}
		var answers []said
		if err := json.Unmarshal(out, &answers); err != nil {
			return nil, err
		}
		if len(answers) != len(questions) {
			return nil, fmt.Errorf("%d answers to %d questions", len(answers), len(questions))
		}
		return answers, nil
	}
}
