// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/pkg/cli"
)

// What an export makes of the exporting cluster can be looked at without one: a server on the policy's port, and the
// advertisement that peers will read. The details are package translate's.
func TestRenderSamples(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runWith(t, nil, "render", "--cluster-id=cluster-2", "--trust-domain=td-2", "-f", "../../samples")
	if code != cli.ExitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	got := map[string]string{}
	for doc := range strings.SplitSeq(stdout, "\n---\n") {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		got[u.GetKind()] += doc
	}
	for kind, wanted := range map[string][]string{
		"Gateway":              {"number: 31111", "number: 31112"},
		"ServiceAdvertisement": {"name: payment", "name: db", "wanPolicy: sd-wan-priority-high"},
		"VirtualService":       {"payment.secure.svc.cluster.local", "db.secure.svc.cluster.local"},
		"AuthorizationPolicy":  {"td-2/ns/mc-wan/sa/mcw-egress"},
	} {
		for _, want := range wanted {
			if !strings.Contains(got[kind], want) {
				t.Errorf("no %s with %q", kind, want)
			}
		}
	}
	if slices.Contains(strings.Split(stdout, "\n"), "kind: Deployment") {
		t.Error("kinds of the samples that are not for the controller are printed")
	}
}

// Files, a folder and standard input are the same.
func TestRenderReadsStandardInput(t *testing.T) {
	t.Parallel()
	const file = "../../samples/01-wan-policies.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := runWith(t, nil, "render", "--cluster-id=cluster-1", "-f", file)
	var out, errs bytes.Buffer
	e := env(nil, &out, &errs)
	e.In = bytes.NewReader(text)
	if code := cli.Run(t.Context(), []string{"render", "--cluster-id=cluster-1", "-f", "-"}, e); code != cli.ExitOK || out.String() != want || want == "" {
		t.Errorf("exit code %d, stderr %q, output differs: %v", code, errs.String(), out.String() != want)
	}
}
