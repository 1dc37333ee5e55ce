// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/sandbox/lifecycle"
)

// run runs the command line on a state folder of the test's own and returns what it printed and its exit code.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err strings.Builder
	code = Main("v1", append(args, "--state-dir", filepath.Join(t.TempDir(), "state")), &out, &err)
	return out.String(), err.String(), code
}

func TestWrongUsageIsExitCode2(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown command":     {"nonsense"},
		"unknown flag":        {"up", "--nonsense"},
		"argument too many":   {"down", "mcw"},
		"flag without number": {"up", "--clusters", "two"},
		"bad name":            {"--name", "Not.OK", "status"},
		"bad output":          {"status", "-o", "xml"},
		"wan without tunnel":  {"wan", "set"},
		"all and one":         {"down", "--all", "--name", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, stderr, code := run(t, args...); code != exitUsage || !strings.Contains(stderr, "--help") {
				t.Errorf("exit code %d, said %q", code, stderr)
			}
		})
	}
}

func TestASandboxThatIsNotThere(t *testing.T) {
	for _, args := range [][]string{{"kubeconfig"}, {"logs"}, {"wan"}, {"status", "--name", "mcw"}} {
		_, stderr, code := run(t, args...)
		if code != exitFailed || !strings.Contains(stderr, "mcwan-sandbox up --name mcw") {
			t.Errorf("%v: exit code %d, said %q", args, code, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	if out, _, code := run(t, "version"); out != "mcwan-sandbox v1\n" || code != exitOK {
		t.Errorf("%q, exit code %d", out, code)
	}
}

func example() statusList {
	return statusList{Sandboxes: []lifecycle.Status{
		{
			Name: "mcw",
			Clusters: []lifecycle.ClusterStatus{
				{Name: "cluster-1", API: "https://198.18.0.6:6443", Running: true, NodeReady: true, PodsReady: 7, Pods: 7, Istio: "ready", Addon: "ready", MemoryBytes: 600 << 20},
				{Name: "cluster-2", API: "https://198.18.0.10:6443", Istio: "unknown", Addon: "unknown", Problem: "its processes do not run"},
			},
			WAN: lifecycle.WANStatus{Running: true, Attached: 1, Sites: 2, MemoryBytes: 20 << 20, Problems: []string{"WANPolicy odd of cluster-1: no tunnel"}},
		},
		{Name: "ruin"},
	}}
}

func TestStatusTable(t *testing.T) {
	var out strings.Builder
	if err := printTable(&out, example()); err != nil {
		t.Fatal(err)
	}
	want := `
SANDBOX  CLUSTER    NODE        PODS  ISTIO    MC-WAN   MEMORY   API
mcw      cluster-1  ready       7/7   ready    ready    600 MiB  https://198.18.0.6:6443
mcw      cluster-2  down        0/0   unknown  unknown  0 MiB    https://198.18.0.10:6443
mcw      sd-wan     1/2 joined                          20 MiB   

mcw cluster-2: its processes do not run

mcw sd-wan: WANPolicy odd of cluster-1: no tunnel

ruin: what is left of a sandbox; mcwan-sandbox down --name ruin removes it
`
	if diff := cmp.Diff(want, "\n"+out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestStatusFormatsSayTheSame(t *testing.T) {
	for format, want := range map[string]string{"json": `"memoryBytes": 629145600`, "yaml": "memoryBytes: 629145600"} {
		var out strings.Builder
		if err := formats()[format](&out, example()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s lacks %s:\n%s", format, want, out.String())
		}
	}
}

func TestLastLinesOfALog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	long := strings.Repeat("x", 10000) // longer than a read buffer
	if err := os.WriteFile(file, []byte("1\n"+long+"\n3\nunfinished"), 0o600); err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[int]string{
		0: "1\n" + long + "\n3\nunfinished", 1: "unfinished", 2: "3\nunfinished", 3: long + "\n3\nunfinished", 9: "1\n" + long + "\n3\nunfinished",
	} {
		var out strings.Builder
		if err := printLog(t.Context(), &out, file, lines, false); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("last %d lines have %d bytes, want %d", lines, out.Len(), len(want))
		}
	}
}
