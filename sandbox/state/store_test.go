// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func always(int) bool { return true }

func claim(t *testing.T, s Store, name string, usable func(int) bool) *Record {
	t.Helper()
	l, err := s.Lock(t.Context(), name, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	r, err := s.Claim(t.Context(), Record{Name: name, Clusters: 2, Replicas: 1, GOGC: DefaultGOGC}, 4, usable)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSandboxesGetDifferentSlotsAndKeepThem(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "root")}
	a, b := claim(t, s, "a", always), claim(t, s, "b", func(slot int) bool { return slot != 1 })
	if a.Slot != 0 || b.Slot != 2 {
		t.Fatalf("slots %d and %d, want 0 and 2", a.Slot, b.Slot)
	}
	if again := claim(t, s, "a", always); !cmp.Equal(again, a) {
		t.Fatalf("claimed again: %+v, want %+v", again, a)
	}
	if err := s.Forget("a"); err != nil {
		t.Fatal(err)
	}
	if c := claim(t, s, "c", always); c.Slot != 0 {
		t.Fatalf("slot %d, want the one that became free", c.Slot)
	}
}

func TestClaimSaysWhenNoSlotIsLeft(t *testing.T) {
	s := Store{Root: t.TempDir()}
	if _, err := s.Claim(t.Context(), Record{Name: "a", Clusters: 1, Replicas: 1, GOGC: DefaultGOGC}, 4, func(int) bool { return false }); err == nil {
		t.Fatal("want an error when every slot is unusable")
	}
}

func TestForgetLeavesNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	s := Store{Root: root}
	claim(t, s, "a", always)
	claim(t, s, "b", always)
	for _, n := range []string{"a", "b"} {
		if err := s.Forget(n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is still there: %v", root, err)
	}
	if names, err := s.List(); err != nil || len(names) != 0 {
		t.Fatalf("list: %v, %v", names, err)
	}
}

func TestLockWaitsForItsHolder(t *testing.T) {
	s := Store{Root: t.TempDir()}
	held, err := s.Lock(t.Context(), "a", func() {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	waited := false
	if _, err := s.Lock(ctx, "a", func() { waited = true }); !errors.Is(err, context.DeadlineExceeded) || !waited {
		t.Fatalf("second lock: %v, waited %v", err, waited)
	}
	held.Release()
	if _, err := s.Lock(t.Context(), "a", func() {}); err != nil {
		t.Fatal(err)
	}
}

func TestRecordValidation(t *testing.T) {
	good := Record{Name: "mcw", Clusters: 2, Istio: true, Addon: true, Replicas: 1, GOGC: DefaultGOGC}
	for name, change := range map[string]func(*Record){
		"name with a dot":   func(r *Record) { r.Name = "a.b" },
		"empty name":        func(r *Record) { r.Name = "" },
		"name too long":     func(r *Record) { r.Name = "abcdefghijklmnopqrstu" },
		"no cluster":        func(r *Record) { r.Clusters = 0 },
		"too many clusters": func(r *Record) { r.Clusters = MaxClusters + 1 },
		"no replica":        func(r *Record) { r.Replicas = 0 },
		"no collection":     func(r *Record) { r.GOGC = 1001 },
		"addon, no istio":   func(r *Record) { r.Istio = false },
	} {
		r := good
		change(&r)
		if r.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
