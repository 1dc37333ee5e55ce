// SPDX-License-Identifier: Apache-2.0

//go:build sandbox

package cgroup

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOnTheKernel makes, fills, empties and removes groups of this machine: those of its own hierarchies, and, where
// version 1 has a unified hierarchy beside it, those of version 2 with what controllers that has.
func TestOnTheKernel(t *testing.T) {
	tree, err := Detect(DefaultMount)
	if err != nil {
		t.Fatal(err)
	}
	trees := []*Tree{tree}
	var stat unix.Statfs_t
	if beside := DefaultMount + "/unified"; unix.Statfs(beside, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC {
		trees = append(trees, &Tree{Unified: true, roots: []string{beside}})
	}
	for _, tree := range trees {
		const group = "mcwan-sandbox-test/a/b"
		if err := tree.Create(group); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", "for f; do echo $$ > $f; done; sleep 60 & wait", "sh")
		cmd.Args = append(cmd.Args, tree.ProcsFiles(group)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = cmd.Wait() }()
		for len(members(t, tree, group)) < 2 {
			if t.Context().Err() != nil {
				t.Fatal("the processes did not join")
			}
		}
		if err := tree.Kill(t.Context(), "mcwan-sandbox-test"); err != nil {
			t.Error(err)
		}
		if err := tree.Remove(t.Context(), "mcwan-sandbox-test"); err != nil {
			t.Error(err)
		}
		if left := members(t, tree, group); len(left) > 0 || tree.Exists("mcwan-sandbox-test") {
			t.Errorf("left: %v", left)
		}
	}
}

func members(t *testing.T, tree *Tree, group string) []int {
	t.Helper()
	pids, err := tree.Members(group)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}
