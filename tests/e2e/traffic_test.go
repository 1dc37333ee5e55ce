// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// soon bounds what takes a user's change to have its effect, on a machine that is busy.
const soon = 5 * time.Minute

// traffic is where the tests of this file's kind play: clusters whose first one has the clients.
type traffic struct {
	t        *testing.T
	ctx      context.Context
	clusters []*story.Cluster
	wan      *story.WAN
}

// newTraffic connects to n clusters (MCWAN_CONTEXTS, by default cluster-1 and so on) and puts the clients into the first; where there are
// fewer the test is left out.
func newTraffic(t *testing.T, n int) *traffic {
	t.Helper()
	w := &traffic{t: t, ctx: t.Context()}
	kubeconfig, contexts := os.Getenv("KUBECONFIG"), os.Getenv("MCWAN_CONTEXTS")
	if contexts == "" {
		contexts = "cluster-1,cluster-2,cluster-3"
	}
	if sandbox := strings.Fields(os.Getenv("MCWAN_SANDBOX")); len(sandbox) > 0 {
		w.wan = &story.WAN{Command: sandbox}
		w.ok(w.wan.Heal(w.ctx))
		kubeconfig = sandboxKubeconfig(t, sandbox)
	}
	names := strings.Split(contexts, ",")
	for i := range n {
		if i == len(names) {
			t.Skipf("needs %d clusters, and MCWAN_CONTEXTS is %q", n, contexts)
		}
		c, err := story.Connect(kubeconfig, names[i])
		if err != nil && i >= 2 {
			t.Skipf("needs %d clusters: %v", n, err)
		}
		w.ok(err)
		w.ok(c.ApplyPoliciesForBusyMachines(w.ctx, w.sample("01-wan-policies.yaml")))
		w.clusters = append(w.clusters, c)
	}
	for _, c := range w.clusters {
		w.ok(c.ApplyFile(w.ctx, w.sample("05-clients.yaml")))
	}
	for _, namespace := range []string{story.NamespaceSidecar, story.NamespacePlain} {
		w.ok(w.clusters[0].WaitReady(w.ctx, namespace, "client"))
	}
	return w
}

// in is the same for a subtest.
func (w *traffic) in(t *testing.T) *traffic {
	return &traffic{t: t, ctx: t.Context(), clusters: w.clusters, wan: w.wan}
}

func (w *traffic) sample(name string) string { return filepath.Join("../../samples", name) }

func (w *traffic) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *traffic) eventually(what string, check func(context.Context) error) {
	w.t.Helper()
	w.ok(story.Eventually(w.ctx, soon, what, check))
}

// unknownFalls starts the controllers of the consumer's cluster anew. A tunnel that was let back lately, because a test or a busy machine
// slowed it down, stays away for minutes the next time; a controller that has just started knows of none of that.
func (w *traffic) unknownFalls() {
	w.t.Helper()
	w.ok(w.clusters[0].Restart(w.ctx, mcw.Namespace, "mcw-controller"))
}

// deploy applies a sample under another service name and takes it away when the test ends.
func (w *traffic) deploy(c *story.Cluster, file, name, as string) {
	w.t.Helper()
	objects := w.objects(file, name, as)
	for _, o := range objects {
		w.ok(c.ApplyObject(w.ctx, o))
	}
	id := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"id": c.Name}}}
	id.SetAPIVersion("v1")
	id.SetKind("ConfigMap")
	id.SetNamespace(story.NamespaceSidecar)
	id.SetName("cluster")
	w.ok(c.ApplyObject(w.ctx, id))
	w.t.Cleanup(func() {
		for _, o := range objects {
			if o.GetKind() != "Namespace" {
				w.remove(c, o)
			}
		}
	})
}

func (w *traffic) remove(c *story.Cluster, o *unstructured.Unstructured) {
	w.t.Helper()
	if err := c.Delete(context.WithoutCancel(w.ctx), o.DeepCopy()); err != nil && !apierrors.IsNotFound(err) {
		w.t.Error(err)
	}
}

// objects are those of a sample under another service name.
func (w *traffic) objects(file, name, as string) []*unstructured.Unstructured {
	w.t.Helper()
	data, err := os.ReadFile(w.sample(file))
	w.ok(err)
	var out []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(strings.ReplaceAll(string(data), name, as)), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			w.t.Fatalf("%s: %v", file, err)
		}
		out = append(out, o)
	}
}

// export is the ServiceExport of a sample under another name.
func (w *traffic) export(file, name, as string) *unstructured.Unstructured {
	w.t.Helper()
	for _, o := range w.objects(file, name, as) {
		if o.GetKind() == "ServiceExport" {
			return o
		}
	}
	w.t.Fatalf("%s has no ServiceExport", file)
	return nil
}

// patch changes a Service of namespace secure in the clusters given.
func (w *traffic) patch(service, patch string, clusters ...*story.Cluster) {
	w.t.Helper()
	for _, c := range clusters {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("v1")
		o.SetKind("Service")
		o.SetNamespace(story.NamespaceSidecar)
		o.SetName(service)
		w.ok(c.Patch(w.ctx, o, client.RawPatch("application/merge-patch+json", []byte(patch))))
	}
}

func (w *traffic) client(namespace string) *story.Client {
	w.t.Helper()
	c, err := w.clusters[0].ClientPod(w.ctx, namespace)
	w.ok(err)
	return c
}

// tunnel puts a tunnel of the SD-WAN into a state until the returned function is called, or the test ends.
func (w *traffic) tunnel(name, state string) (heal func()) {
	w.t.Helper()
	w.ok(w.wan.SetState(w.ctx, name, state))
	heal = func() {
		if err := w.wan.SetState(context.WithoutCancel(w.ctx), name, "up"); err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(heal)
	return heal
}

// callResult is what the test client says (sandbox/apps/call).
type callResult struct {
	Pod         string `json:"pod"`
	Cluster     string `json:"cluster"`
	Echoed      int    `json:"echoed"`
	Proto       string `json:"proto"`
	Certificate string `json:"certificate"`
	Held        *struct {
		Answers map[string]int `json:"answers"`
		Opened  int            `json:"opened"`
		Ended   int            `json:"ended"`
		Refused map[string]int `json:"refused"`
	} `json:"held"`
	Error string `json:"error"`
}

// call runs the test client in a client pod.
func call(ctx context.Context, c *story.Client, args ...string) (callResult, error) {
	out, err := c.Run(ctx, append([]string{"call"}, args...)...)
	r := callResult{}
	if json.Unmarshal([]byte(out), &r) == nil && r.Error != "" {
		return r, fmt.Errorf("%s: call %s: %s", c.Name(), strings.Join(args, " "), r.Error)
	}
	return r, err
}

// loaded runs do while a client sends 200 requests a second, GETs and POSTs in turn, and wants every one answered.
func (w *traffic) loaded(c *story.Client, url string, do func()) {
	w.t.Helper()
	load, err := c.StartLoad(w.ctx, url, 200, "GET", "POST")
	w.ok(err)
	stopped := false
	stop := func() *story.LoadReport {
		stopped = true
		report, err := load.Stop(context.WithoutCancel(w.ctx))
		w.ok(err)
		return report
	}
	w.t.Cleanup(func() { // do may have ended the test
		if !stopped {
			stop()
		}
	})
	do()
	report := stop()
	w.t.Logf("%s", report)
	if report.Failed > 0 {
		w.t.Errorf("%d of %d requests failed: %v %v", report.Failed, report.Requests, report.Codes, report.Failures)
	}
	if report.Requests < 200 {
		w.t.Errorf("only %d requests were sent", report.Requests)
	}
}
