// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, content string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSplitTakesEveryHierarchyOnce(t *testing.T) {
	root := t.TempDir()
	for _, h := range []string{"cpu,cpuacct", "cpuset", "memory", "pids", "systemd", "unified"} {
		write(t, "0", root, h, "cpuset.cpus")
	}
	if err := os.Symlink("cpu,cpuacct", filepath.Join(root, "cpu")); err != nil {
		t.Fatal(err)
	}
	tree, err := split(root, func(dir string) bool { return filepath.Base(dir) != "unified" })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"cpu,cpuacct/a/cgroup.procs", "cpuset/a/cgroup.procs", "memory/a/cgroup.procs", "pids/a/cgroup.procs", "systemd/a/cgroup.procs"}
	for i, f := range want {
		want[i] = filepath.Join(root, f)
	}
	if diff := cmp.Diff(want, tree.ProcsFiles("a")); diff != "" {
		t.Error(diff)
	}
}

func TestMissingControllerIsNamed(t *testing.T) {
	root := t.TempDir()
	for _, h := range []string{"cpu", "cpuset", "memory"} {
		write(t, "", root, h, "x")
	}
	if _, err := split(root, func(string) bool { return true }); err == nil || !strings.Contains(err.Error(), `"pids"`) {
		t.Errorf("split: %v", err)
	}
	write(t, "cpuset cpu io pids\n", root, "cgroup.controllers")
	if _, err := unified(root); err == nil || !strings.Contains(err.Error(), `"memory"`) {
		t.Errorf("unified: %v", err)
	}
}

// The kernel would make the control files; here the test does, which shows what Create writes to them.
func TestUnifiedGroupsGetTheirControllers(t *testing.T) {
	root := t.TempDir()
	write(t, "cpuset cpu io memory hugetlb pids\n", root, "cgroup.controllers")
	write(t, "cpu cpuset hugetlb memory pids\n", root, "cgroup.subtree_control")
	write(t, "", root, "a", "cgroup.subtree_control")
	tree, err := unified(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Create("a/b"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, root, "cgroup.subtree_control"); got != "cpu cpuset hugetlb memory pids\n" {
		t.Errorf("root was written although it had all: %q", got)
	}
	if got := read(t, root, "a", "cgroup.subtree_control"); got != "+hugetlb" {
		t.Errorf("last controller written: %q", got)
	}
	if !tree.Exists("a/b") || tree.Exists("a/c") {
		t.Error("a/b should exist, a/c not")
	}
}

func TestSplitGroupsInheritTheirCPUs(t *testing.T) {
	root := t.TempDir()
	for _, h := range []string{"cpu", "memory", "pids"} {
		write(t, "", root, h, "x")
	}
	write(t, "0-1\n", root, "cpuset", "cpuset.cpus")
	write(t, "", root, "cpuset", "a", "cpuset.cpus")
	tree, err := split(root, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Create("a"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, root, "cpuset", "a", "cpuset.cpus"); got != "0-1\n" {
		t.Errorf("cpuset.cpus %q", got)
	}
}

func TestUsage(t *testing.T) {
	root := t.TempDir()
	write(t, "1000\n", root, "memory", "a", "memory.usage_in_bytes")
	write(t, "cache 5\ntotal_inactive_file 300\n", root, "memory", "a", "memory.stat")
	write(t, "1500000000\n", root, "cpuacct", "a", "cpuacct.usage")
	v1 := &Tree{roots: []string{filepath.Join(root, "cpuacct"), filepath.Join(root, "memory")}}
	write(t, "2000\n", root, "v2", "a", "memory.current")
	write(t, "anon 5\ninactive_file 500\n", root, "v2", "a", "memory.stat")
	write(t, "usage_usec 2500000\nuser_usec 1\n", root, "v2", "a", "cpu.stat")
	v2 := &Tree{Unified: true, roots: []string{filepath.Join(root, "v2")}}
	for name, c := range map[string]struct {
		tree   *Tree
		memory int64
		ms     int64
	}{"v1": {v1, 700, 1500}, "v2": {v2, 1500, 2500}} {
		m, err1 := c.tree.Memory("a")
		cpu, err2 := c.tree.CPU("a")
		if err1 != nil || err2 != nil || m != c.memory || cpu.Milliseconds() != c.ms {
			t.Errorf("%s: memory %d (%v), cpu %s (%v)", name, m, err1, cpu, err2)
		}
	}
}

func TestMembersOfGroupsBelow(t *testing.T) {
	root := t.TempDir()
	write(t, "", root, "memory", "a", "cgroup.procs")
	write(t, "12\n7\n", root, "memory", "a", "b", "cgroup.procs")
	write(t, "7\n", root, "pids", "a", "cgroup.procs")
	tree := &Tree{roots: []string{filepath.Join(root, "memory"), filepath.Join(root, "pids")}}
	pids, err := tree.Members("a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{7, 12}, pids); diff != "" {
		t.Error(diff)
	}
	if pids, err := tree.Members("gone"); err != nil || len(pids) != 0 {
		t.Errorf("members of a group that is gone: %v, %v", pids, err)
	}
}

func TestWeigh(t *testing.T) {
	v1, v2 := t.TempDir(), t.TempDir()
	write(t, "1024", v1, "cpu", "a", "wan", "cpu.shares")
	write(t, "100", v2, "a", "wan", "cpu.weight")
	split, unified := &Tree{roots: []string{filepath.Join(v1, "cpu")}}, &Tree{Unified: true, roots: []string{v2}}
	for _, tc := range []struct {
		tree   *Tree
		file   string
		shares uint64
		want   string
	}{
		{split, filepath.Join(v1, "cpu", "a", "wan", "cpu.shares"), Foremost, "262144"},
		{split, filepath.Join(v1, "cpu", "a", "wan", "cpu.shares"), Background, "256"},
		{unified, filepath.Join(v2, "a", "wan", "cpu.weight"), Foremost, "10000"},
		{unified, filepath.Join(v2, "a", "wan", "cpu.weight"), Background, "10"},
	} {
		if err := tc.tree.Weigh("a/wan", tc.shares); err != nil {
			t.Fatal(err)
		}
		if got := read(t, tc.file); got != tc.want {
			t.Errorf("%d shares: %s is %s, want %s", tc.shares, filepath.Base(tc.file), got, tc.want)
		}
	}
}
