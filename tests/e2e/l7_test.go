// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
