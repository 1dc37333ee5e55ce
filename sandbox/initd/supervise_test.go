// SPDX-License-Identifier: Apache-2.0

package initd

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDelaysGrowWhileAProgramKeepsEnding(t *testing.T) {
	var got []time.Duration
	var last time.Duration
	for range 7 {
		last = nextDelay(last, time.Second)
		got = append(got, last)
	}
	want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 15 * time.Second}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("delays %v, want %v", got, want)
		}
	}
	if d := nextDelay(last, longRun); d != firstDelay {
		t.Errorf("after a long run: %s", d)
	}
}

func TestHiddenPaths(t *testing.T) {
	mounts := []Mount{{To: "/var/lib"}, {To: "/run"}}
	for path, want := range map[string]bool{
		"/var/lib/mcwan-sandbox/mcw": true, "/var/lib": true, "/var/library": false, "/srv/x": false, "/running": false, "/run/a": true,
	} {
		if got := hidden(path, mounts); got != want {
			t.Errorf("%s hidden: %v", path, got)
		}
	}
}

// A program that ends is started again, and its log keeps what it said before.
func TestProgramsAreRestarted(t *testing.T) {
	log := filepath.Join(t.TempDir(), "program.log")
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sup := &supervisor{log: slog.New(slog.DiscardHandler), running: map[int]*child{}}
	sup.start(&child{Program: Program{Name: "p", Argv: []string{"/bin/sh", "-c", "echo started"}, Log: log}})
	sup.start(&child{Program: Program{Name: "missing", Argv: []string{"/does/not/exist"}, Log: log}})
	done := make(chan error, 1)
	go func() { done <- sup.loop(ctx, children) }()
	for ctx.Err() == nil {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(data, []byte("started\n")) >= 2 {
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("the program was not started twice")
}

func TestSpecIsRefusedWithItsFileName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "init.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSpec(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
}
