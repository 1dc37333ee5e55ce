// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeyTellsPartsApart(t *testing.T) {
	if newKey("ab", "c").sum() == newKey("a", "bc").sum() {
		t.Error("two lists of parts with the same bytes have the same key")
	}
	if newKey("a").sum() == newKey("a", "").sum() {
		t.Error("an empty part does not count")
	}
	one, two := newKey("a", "b"), newKey("a", "b")
	if one.sum() != two.sum() {
		t.Error("the same parts have two keys")
	}
}

func TestKeyOfTree(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "main.go", "package main")
	put(t, dir, "sub/data.json", "{}")
	put(t, dir, "main_test.go", "package main")
	put(t, dir, "testdata/x.go", "package x")
	first := treeKey(t, dir)

	for _, c := range []struct {
		what, file, content string
		same                bool
	}{
		{"a test", "main_test.go", "package main // changed", true},
		{"test data", "testdata/x.go", "package y", true},
		{"a source file", "main.go", "package main // changed", false},
		{"an embedded file", "sub/data.json", "[]", false},
		{"a new file", "sub/new.go", "package sub", false},
	} {
		before := treeKey(t, dir)
		put(t, dir, c.file, c.content)
		if after := treeKey(t, dir); (after == before) != c.same {
			t.Errorf("%s changed: key changed %v, want %v", c.what, after != before, !c.same)
		}
	}

	put(t, dir, "main.go", "package main")
	put(t, dir, "sub/data.json", "{}")
	if err := os.Remove(filepath.Join(dir, "sub/new.go")); err != nil {
		t.Fatal(err)
	}
	if treeKey(t, dir) != first {
		t.Error("the same content has another key after it was changed back")
	}
	if err := os.Rename(filepath.Join(dir, "main.go"), filepath.Join(dir, "other.go")); err != nil {
		t.Fatal(err)
	}
	if treeKey(t, dir) == first {
		t.Error("a renamed file left the key as it was")
	}
}

func TestKeyOfMissingTree(t *testing.T) {
	missing := treeKey(t, filepath.Join(t.TempDir(), "none"))
	if missing != treeKey(t, t.TempDir()) {
		t.Error("a folder that is not there does not count as empty")
	}
}

func treeKey(t *testing.T, dir string) string {
	t.Helper()
	k := newKey()
	if err := k.addTree(dir, goInput); err != nil {
		t.Fatal(err)
	}
	return k.sum()
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
