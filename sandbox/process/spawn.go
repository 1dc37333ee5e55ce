// SPDX-License-Identifier: Apache-2.0

package process

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/l7mp/mc-wan/sandbox/state"
)

// Spawn says how to run this program anew as a process that outlives the one that starts it.
type Spawn struct {
	// Args are the arguments, without the program's name.
	Args []string
	// Log is the file to the end of which the output goes.
	Log string
	// File is where it is remembered which process it is, see Read.
	File string
	// Cloneflags are the new namespaces of the process.
	Cloneflags uintptr
	// Within, if set, calls the function that starts the process where the process is to be born.
	Within func(start func() error) error
}

// Start runs the process in a session of its own. The channel is closed when it ends; how it ended stands in its log.
func (s Spawn) Start() (<-chan struct{}, error) {
	out, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := exec.Command("/proc/self/exe", s.Args...)
	cmd.Args[0] = "mcwan-sandbox"
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: s.Cloneflags}
	start := cmd.Start
	if s.Within != nil {
		start = func() error { return s.Within(cmd.Start) }
	}
	if err := start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(ended)
	}()
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		return nil, fmt.Errorf("it ended at once, see %s: %w", s.Log, err)
	}
	data, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	return ended, state.WriteFile(s.File, data, 0o600)
}

// Read is the process that a file remembers.
func Read(file string) (ID, error) {
	var id ID
	data, err := os.ReadFile(file)
	if err != nil {
		return id, err
	}
	return id, json.Unmarshal(data, &id)
}
