// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStepRunsOnlyWhenSomethingChanged(t *testing.T) {
	var events []State
	b := testBuilder(t, func(e Event) { events = append(events, e.State) })
	out := b.out("thing")
	key, runs := "1", 0
	s := step{
		name: "thing", key: func() (string, error) { return newKey(key).sum(), nil }, outputs: []string{out},
		run: func(_ context.Context, log *stepLog) error {
			runs++
			log.line("made")
			return os.WriteFile(out, []byte(key), 0o644)
		},
	}
	for _, c := range []struct {
		what   string
		change func()
		runs   int
	}{
		{"first time", func() {}, 1},
		{"again", func() {}, 1},
		{"other key", func() { key = "2" }, 2},
		{"again", func() {}, 2},
		{"output deleted", func() { os.Remove(out) }, 3},
		{"output replaced by one of the same size", func() {
			put(t, b.opts.OutDir, "thing", "x")
			if err := os.Chtimes(out, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, 4},
		{"again", func() {}, 4},
	} {
		c.change()
		if err := b.do(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if runs != c.runs {
			t.Errorf("%s: ran %d times, want %d", c.what, runs, c.runs)
		}
	}
	if want := []State{Started, Done, UpToDate, Started, Done}; !slices.Equal(events[:5], want) {
		t.Errorf("events %q, want %q", events[:5], want)
	}
	if text, err := os.ReadFile(b.out("log", "thing.log")); err != nil || string(text) != "made\n" {
		t.Errorf("log %q, %v", text, err)
	}
	if d, err := b.digestOf("thing", out); err != nil || len(d) != 64 {
		t.Errorf("digest of the output: %q, %v", d, err)
	}
}

func TestFailedStepNamesItsLogAndRunsAgain(t *testing.T) {
	var last Event
	b := testBuilder(t, func(e Event) { last = e })
	fail, out := true, b.out("thing")
	s := step{
		name: "thing", key: func() (string, error) { return "k", nil }, outputs: []string{out},
		run: func(context.Context, *stepLog) error {
			if fail {
				return errors.New("no space left")
			}
			return os.WriteFile(out, nil, 0o644)
		},
	}
	err := b.do(context.Background(), s)
	log := b.out("log", "thing.log")
	if err == nil || !strings.Contains(err.Error(), log) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v, want one that names %s and the cause", err, log)
	}
	if last.State != Failed || last.LogFile != log || !strings.Contains(last.String(), "no space left") {
		t.Errorf("last event %+v", last)
	}
	fail = false
	if err := b.do(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	fail = true
	if err := b.do(context.Background(), s); err != nil {
		t.Errorf("ran again after it had succeeded: %v", err)
	}
}

func TestInterruptedStepIsNotUpToDate(t *testing.T) {
	b := testBuilder(t, nil)
	out, key, run := b.out("thing"), "1", 0
	s := step{
		name: "thing", key: func() (string, error) { return key, nil }, outputs: []string{out},
		run: func(context.Context, *stepLog) error {
			if run++; run == 2 {
				return context.Canceled
			}
			return os.WriteFile(out, nil, 0o644)
		},
	}
	if err := b.do(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	key = "2"
	if err := b.do(context.Background(), s); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want canceled", err)
	}
	key = "1" // the inputs are changed back, but the outputs may be half made
	if err := b.do(context.Background(), s); err != nil || run != 3 {
		t.Errorf("%d runs, %v; want a third", run, err)
	}
}

func TestStepMustMakeItsOutput(t *testing.T) {
	b := testBuilder(t, nil)
	s := step{
		name: "lazy", key: func() (string, error) { return "k", nil }, outputs: []string{b.out("none")},
		run: func(context.Context, *stepLog) error { return nil },
	}
	if err := b.do(context.Background(), s); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one about the missing output", err)
	}
}

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := lockFile(ctx, path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("second lock: %v, want an error that names the file", err)
	}
	unlock()
	unlock, err = lockFile(ctx, path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	unlock()
}

// testBuilder is a builder on an empty folder that has the repository's layout.
func testBuilder(t *testing.T, log func(Event)) *builder {
	t.Helper()
	root := t.TempDir()
	put(t, root, "sandbox/node/go.mod", "module x")
	b, unlock, err := newBuilder(context.Background(), Options{RepoRoot: root, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	return b
}
