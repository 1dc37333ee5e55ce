// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pipeVariable names the pipe of the process that a test runs.
const pipeVariable = "MCWAN_TEST_PIPE"

// TestSpawned is what runs in that process: it ends when it has been told something.
func TestSpawned(t *testing.T) {
	pipe := os.Getenv(pipeVariable)
	if pipe == "" {
		t.Skip("TestSpawnedProcessIsRemembered runs it")
	}
	told, err := os.ReadFile(pipe)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("told:", string(told))
}

func TestSpawnedProcessIsRemembered(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(pipeVariable, pipe)
	born := false
	s := Spawn{Args: []string{"-test.run=^TestSpawned$"}, Log: filepath.Join(dir, "log"), File: filepath.Join(dir, "process")}
	s.Within = func(start func() error) error {
		born = true
		return start()
	}
	ended, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	id, err := Read(s.File)
	if err != nil || !id.Alive() || !born {
		t.Errorf("remembered as %+v (%v), alive: %t, born where it was to be: %t", id, err, id.Alive(), born)
	}
	if err := os.WriteFile(pipe, []byte("enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	<-ended
	if log, err := os.ReadFile(s.Log); err != nil || !strings.Contains(string(log), "told: enough") || id.Alive() {
		t.Errorf("alive after its end: %t, its log is %q (%v)", id.Alive(), log, err)
	}
}
