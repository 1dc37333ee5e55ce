// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/tests/story"
)

// TestStory asserts the story that `make demo` plays, and more of it.
func TestStory(t *testing.T) {
	env := environment(t)
	for _, part := range [][]story.Step{story.Basic(), story.Standby(), story.Steering(), story.Sharing(), story.Failover(), story.FailoverBlack(), story.Brownout(), story.Off(), story.Security(), story.End()} {
		for _, step := range part {
			ok := t.Run(step.Name, func(t *testing.T) {
				if step.NeedsWAN && env.WAN == nil {
					t.Skip("needs the sandbox's SD-WAN: MCWAN_SANDBOX is not set")
				}
				env.Out = t.Output()
				if err := step.Run(t.Context(), env); err != nil {
					t.Fatal(err)
				}
			})
			if !ok {
				t.Fatalf("the rest of the story builds on %q", step.Name)
			}
		}
	}
}

// environment reads where to play from the environment: MCWAN_SANDBOX is the sandbox's command with its flags; without
// it KUBECONFIG and MCWAN_CONTEXTS (consumer,exporter) name clusters that exist and have the add-on installed and joined.
func environment(t *testing.T) *story.Env {
	t.Helper()
	env := &story.Env{Samples: "../../samples", Out: t.Output(), Busy: true}
	kubeconfig, contexts := os.Getenv("KUBECONFIG"), "cluster-1,cluster-2"
	if sandbox := strings.Fields(os.Getenv("MCWAN_SANDBOX")); len(sandbox) > 0 {
		env.WAN = &story.WAN{Command: sandbox}
		kubeconfig = sandboxKubeconfig(t, sandbox)
	}
	if c := os.Getenv("MCWAN_CONTEXTS"); c != "" {
		contexts = c
	}
	consumer, exporter, ok := strings.Cut(contexts, ",")
	if !ok {
		t.Fatalf("MCWAN_CONTEXTS is %q, want CONSUMER,EXPORTER", contexts)
	}
	var errs [2]error
	env.Consumer, errs[0] = story.Connect(kubeconfig, consumer)
	env.Exporter, errs[1] = story.Connect(kubeconfig, exporter)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return env
}

func sandboxKubeconfig(t *testing.T, sandbox []string) string {
	t.Helper()
	argv := append(append([]string{}, sandbox...), "kubeconfig")
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), argv[0], argv[1:]...).Output()
	if err != nil {
		t.Fatalf("%v: %v", argv, err)
	}
	return strings.TrimSpace(string(out))
}
