// SPDX-License-Identifier: Apache-2.0

package fingerprint

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEveryChangeOfATreeChangesItsFingerprint(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]bool{}
	for _, change := range []func() error{
		func() error { return os.WriteFile(filepath.Join(dir, "a"), []byte("1"), 0o600) },
		func() error { return os.WriteFile(filepath.Join(dir, "a"), []byte("2"), 0o600) },
		func() error { return os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")) },
		func() error { return os.WriteFile(filepath.Join(dir, "c"), nil, 0o600) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		print, err1 := Of(Tree(dir), Bytes([]byte("x")))
		again, err2 := Of(Tree(dir), Bytes([]byte("x")))
		if err1 != nil || err2 != nil || print != again {
			t.Fatalf("%s and %s (%v, %v)", print, again, err1, err2)
		}
		if seen[print] {
			t.Error("a change was not seen")
		}
		seen[print] = true
	}
}

func TestMark(t *testing.T) {
	m := Mark{File: filepath.Join(t.TempDir(), "mark")}
	if m.Is("") || m.Is("x") {
		t.Error("a mark that was not set is something")
	}
	if err := m.Set("x"); err != nil || !m.Is("x") || m.Is("y") {
		t.Errorf("set: %v", err)
	}
}
