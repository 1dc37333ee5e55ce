// SPDX-License-Identifier: Apache-2.0

//go:build sandbox

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/sandbox/lifecycle"
	"github.com/l7mp/mc-wan/sandbox/wan"
)

// sandbox drives the program as a user does.
type sandbox struct {
	t        *testing.T
	name     string
	repo     string
	binary   string
	stateDir string
}

// newSandbox builds mcwan-sandbox from the source under test, and removes the sandbox when the test ends.
func newSandbox(t *testing.T, name string) *sandbox {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the tests of the sandbox need root")
	}
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// on the file system of the images, so that they are hard links
	dir, err := os.MkdirTemp(filepath.Join(repo, "build"), "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	s := &sandbox{t: t, name: name, repo: repo, binary: filepath.Join(dir, "mcwan-sandbox"), stateDir: filepath.Join(dir, "state")}
	t.Cleanup(func() {
		s.mustRun("down")
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.command(exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, "../cmd/mcwan-sandbox"))
	return s
}

// beside is another sandbox with the same program and state folder.
func (s *sandbox) beside(name string) *sandbox {
	other := *s
	other.name = name
	s.t.Cleanup(func() { other.mustRun("down") })
	return &other
}

func (s *sandbox) command(cmd *exec.Cmd) string {
	s.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, s.lastWords())
	}
	return string(out)
}

// lastWords are the ends of the logs that explain why a cluster does not come up.
func (s *sandbox) lastWords() string {
	var all strings.Builder
	logs, err := filepath.Glob(filepath.Join(s.stateDir, s.name, "cluster-*", "log", "*.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, log := range logs {
		end, err := exec.Command("tail", "--lines", "20", log).CombinedOutput()
		fmt.Fprintf(&all, "\n== %s %v\n%s", log, err, end)
	}
	return all.String()
}

func (s *sandbox) args(args ...string) []string {
	return append([]string{"--name", s.name, "--state-dir", s.stateDir, "--repo", s.repo}, args...)
}

// mustRun runs mcwan-sandbox on the sandbox, also when the test is over and its context gone.
func (s *sandbox) mustRun(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 10*time.Minute)
	defer cancel()
	out := s.command(exec.CommandContext(ctx, s.binary, s.args(args...)...))
	s.t.Logf("%s %s\n%s", s.name, strings.Join(args, " "), out)
	return out
}

func (s *sandbox) status() lifecycle.Status {
	s.t.Helper()
	var list struct {
		Sandboxes []lifecycle.Status `json:"sandboxes"`
	}
	out := s.command(exec.CommandContext(s.t.Context(), s.binary, s.args("status", "-o", "json")...))
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Sandboxes) != 1 {
		s.t.Fatalf("status: %v\n%s", err, out)
	}
	return list.Sandboxes[0]
}

// kubectl runs kubectl with the sandbox's kubeconfig.
func (s *sandbox) kubectl(cluster string, args ...string) (string, error) {
	s.t.Helper()
	config := strings.TrimSpace(s.command(exec.CommandContext(s.t.Context(), s.binary, s.args("kubeconfig")...)))
	all := append([]string{"--kubeconfig", config, "--context", cluster}, args...)
	out, err := exec.CommandContext(s.t.Context(), filepath.Join(s.repo, "bin", "kubectl"), all...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (s *sandbox) mustKubectl(cluster string, args ...string) string {
	s.t.Helper()
	out, err := s.kubectl(cluster, args...)
	if err != nil {
		s.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (s *sandbox) wan() *wan.Client {
	return wan.NewClient(filepath.Join(s.stateDir, s.name, "wan", "control.sock"))
}

// pid reads the process that a process.json names.
func (s *sandbox) pid(part string) int {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.stateDir, s.name, part, "process.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var id struct{ PID int }
	if err := json.Unmarshal(data, &id); err != nil {
		s.t.Fatal(err)
	}
	return id.PID
}

func (s *sandbox) kill(pid int) {
	s.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
}

// within asks until it is so, or until a time has passed.
func within(bound time.Duration, so func() bool) bool {
	end := time.After(bound)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-end:
			return false
		case <-again.C:
		}
	}
	return true
}

// expectTunnel says that all packets took one tunnel, and that there were some.
func expectTunnel(t *testing.T, counters wan.Counters, tunnel string) {
	t.Helper()
	var packets uint64
	for _, f := range counters.Flows {
		if f.Packets > 0 && f.Tunnel != tunnel {
			t.Errorf("%d packets from %s to %s took %s", f.Packets, f.Source, f.Destination, f.Tunnel)
		}
		packets += f.Packets
	}
	if packets == 0 {
		t.Errorf("no packet took %s", tunnel)
	}
}
