// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
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

	"github.com/l7mp/mc-wan/tests/story"
)

// TestL7 is steering by what is in a request, beyond the documents' examples that TestStory plays.
func TestL7(t *testing.T) {
	env := environment(t)
	t.Cleanup(func() {
		if err := story.SteeringUndone(context.WithoutCancel(t.Context()), env); err != nil {
			t.Error(err)
		}
	})
	play(t, env, story.SteeringPrepared())
	if t.Failed() {
		return
	}
	t.Run("explain", func(t *testing.T) { explainAgrees(t, env) })
	play(t, env, story.SteeringMore())
	t.Run("httproute", func(t *testing.T) {
		withGatewayAPI(t, env.Consumer)
		env.Out = t.Output()
		if err := story.ProveHTTPRoute(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	})
}

func play(t *testing.T, env *story.Env, steps []story.Step) {
	t.Helper()
	for _, step := range steps {
		t.Run(step.Name, func(t *testing.T) {
			if step.NeedsWAN && env.WAN == nil {
				t.Skip("needs the sandbox's SD-WAN: MCWAN_SANDBOX is not set")
			}
			env.Out = t.Output()
			if err := step.Run(t.Context(), env); err != nil {
				t.Fatal(err)
			}
		})
	}
}

const explainedRequests = 40

// question and answer are what `mcwanctl explain --requests` takes and gives.
type question struct {
	Service string            `json:"service"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers,omitempty"`
}

type answer struct {
	question
	Verdict string `json:"verdict"`
	Status  int    `json:"status"`
	Rule    string `json:"rule"`
	Reason  string `json:"reason"`
}

// explainAgrees: what `mcwanctl explain` says of requests is what the Envoys do with them. Each rule marks its answers.
func explainAgrees(t *testing.T, env *story.Env) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MCWAN_AGREEMENT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("MCWAN_AGREEMENT_SEED: %v", err)
		}
	}
	t.Logf("seed %d: MCWAN_AGREEMENT_SEED=%d plays it again", seed, seed)
	g := rand.New(rand.NewPCG(seed, 1))
	rules := markedRules()
	if err := env.Consumer.ApplyObject(t.Context(), rules); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.IgnoreNotFound(env.Consumer.Delete(context.WithoutCancel(t.Context()), rules)); err != nil {
			t.Error(err)
		}
	}()
	var questions []question
	for range explainedRequests {
		q := question{Service: "payment/secure", Method: oneOf(g, "GET", "POST", "DELETE"), Headers: map[string]string{}}
		q.Path = oneOf(g, "/", "/a", "/a/", "/a/b", "/ab", "/b", "/c") + oneOf(g, "", "", "?q=1", "?q=2")
		if tier := oneOf(g, "", "gold", "silver"); tier != "" {
			q.Headers["x-tier"] = tier
		}
		questions = append(questions, q)
	}
	answers := explain(t, env, questions)
	var got []string
	c, err := env.Consumer.ClientPod(t.Context(), story.NamespacePlain)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]string, 0, len(answers))
	for _, a := range answers {
		want = append(want, expected(a))
	}
	if err := story.Eventually(t.Context(), time.Minute, "Envoy has the rules", func(ctx context.Context) error {
		out, err := c.Run(ctx, "sh", "-c", script(questions))
		if err != nil {
			return err
		}
		got = strings.Split(strings.TrimSpace(out), "\n")
		if !slices.Equal(got, want) {
			return fmt.Errorf("they do not agree")
		}
		return nil
	}); err == nil {
		t.Logf("%d requests: %s", len(got), strings.Join(got, ", "))
		return
	}
	for i, a := range answers {
		if i < len(got) && got[i] != want[i] {
			t.Errorf("%s %s %v: explain says %s (%s: %s), Envoy answers %s", a.Method, a.Path, a.Headers, want[i], a.Rule, a.Reason, got[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d answers to %d requests", len(got), len(want))
	}
}

// expected is an answer as a client sees it: the status, and the rule that marked it.
func expected(a answer) string {
	if a.Verdict != "Forwarded" {
		return fmt.Sprintf("%d -", a.Status)
	}
	rule, _, _ := strings.Cut(strings.TrimPrefix(a.Rule, "rules["), "]")
	return "200 " + rule
}

// markedRules overlap; each sets a header of its own on its answers.
func markedRules() *unstructured.Unstructured {
	path := func(kind, value string) map[string]any { return map[string]any{"type": kind, "value": value} }
	tier := func(value string) []any { return []any{map[string]any{"name": "x-tier", "value": value}} }
	query := []any{map[string]any{"name": "q", "value": "1"}}
	var rules []any
	for i, match := range []map[string]any{
		{"path": path("RegularExpression", "/a.*")},
		{"path": path("PathPrefix", "/a")},
		{"path": path("PathPrefix", "/a"), "headers": tier("gold")},
		{"path": path("PathPrefix", "/a/b"), "method": "GET"},
		{"path": path("Exact", "/a")},
		{"path": path("Exact", "/a"), "queryParams": query},
		{"path": path("PathPrefix", "/b"), "method": "POST"},
		{"path": path("PathPrefix", "/b"), "headers": tier("silver"), "queryParams": query},
		{"path": path("PathPrefix", "/"), "headers": tier("gold"), "method": "GET"},
	} {
		rules = append(rules, map[string]any{
			"matches":     []any{match},
			"filters":     []any{map[string]any{"type": "ResponseHeaderModifier", "responseHeaderModifier": map[string]any{"set": []any{map[string]any{"name": "x-rule", "value": fmt.Sprint(i)}}}}},
			"backendRefs": []any{map[string]any{"name": []string{"payment-secure-sd-wan-priority-high", "payment-secure-sd-wan-priority-low"}[i%2], "namespace": "mc-wan"}},
		})
	}
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"http": map[string]any{"rules": rules}}}}
	o.SetAPIVersion("mc-wan.l7mp.io/v1alpha1")
	o.SetKind("ServiceImport")
	o.SetNamespace("secure")
	o.SetName("payment")
	return o
}

// script sends the requests and prints "STATUS RULE" of each.
func script(questions []question) string {
	var b strings.Builder
	for _, q := range questions {
		fmt.Fprintf(&b, "curl -s -o /dev/null --max-time 10 -X %s", q.Method)
		for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
			fmt.Fprintf(&b, " -H '%s: %s'", name, q.Headers[name])
		}
		fmt.Fprintf(&b, " -w '%%{http_code} %%header{x-rule}\\n' '%s' | sed 's/ $/ -/'\n", strings.TrimSuffix(story.PaymentURL, "/")+q.Path)
	}
	return b.String()
}

func oneOf[T any](g *rand.Rand, from ...T) T { return from[g.IntN(len(from))] }

// explain runs the command as a user does, on the consumer's cluster.
func explain(t *testing.T, env *story.Env, questions []question) []answer {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mcwanctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/mcwanctl").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := os.Getenv("KUBECONFIG")
	if sandbox := strings.Fields(os.Getenv("MCWAN_SANDBOX")); len(sandbox) > 0 {
		kubeconfig = sandboxKubeconfig(t, sandbox)
	}
	var answers []answer
	if err := story.Eventually(t.Context(), 30*time.Second, "explain knows the rules", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, program, "--kubeconfig", kubeconfig, "--context", env.Consumer.Name, "explain", "--requests", "-", "-o", "json")
		cmd.Stdin = bytes.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr.String())
		}
		answers = nil
		return json.Unmarshal(out, &answers)
	}); err != nil {
		t.Fatal(err)
	}
	return answers
}

// withGatewayAPI brings the Gateway API's kinds to a cluster that has none, for as long as the test lasts.
func withGatewayAPI(t *testing.T, c *story.Cluster) {
	t.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	if err := c.Get(t.Context(), client.ObjectKey{Name: "httproutes.gateway.networking.k8s.io"}, crd); err == nil {
		return
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "config/crd/standard/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs in the module: %v", err)
	}
	for _, f := range files {
		if err := c.ApplyFile(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.DeleteFile(context.WithoutCancel(t.Context()), f); err != nil {
				t.Error(err)
			}
		})
	}
}
