// SPDX-License-Identifier: Apache-2.0

package sdwan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/process"
	"github.com/l7mp/mc-wan/sandbox/state"
	"github.com/l7mp/mc-wan/sandbox/wan"
)

// Running says whether the process lives.
func (s *SDWAN) Running() bool {
	var id process.ID
	return readJSON(s.processFile(), &id) == nil && id.Alive()
}

// Start runs the process unless it runs already for the same members, and returns when it answers and holds the
// device of every member. It says whether it had to start it.
func (s *SDWAN) Start(ctx context.Context, members []Member) (started bool, err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return false, err
	}
	config, err := json.MarshalIndent(s.config(members), "", "  ")
	if err != nil {
		return false, err
	}
	old, err := os.ReadFile(s.configFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if !s.Running() || !bytes.Equal(old, config) {
		if err := s.Stop(ctx); err != nil {
			return false, err
		}
		if err := state.WriteFile(s.configFile(), config, 0o600); err != nil {
			return false, err
		}
		if err := s.spawn(); err != nil {
			return false, err
		}
		started = true
	}
	return started, s.waitAttached(ctx)
}

func (s *SDWAN) spawn() error {
	if err := s.Groups.Create(s.Group); err != nil {
		return err
	}
	// Packets that wait for the processor would be jitter that nobody has set.
	if err := s.Groups.Weigh(s.Group, cgroup.Foremost); err != nil {
		return err
	}
	out, err := os.OpenFile(s.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := exec.Command("/proc/self/exe", "internal", "wan", s.configFile())
	cmd.Args[0] = "mcwan-sandbox"
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // how it ended stands in its log
	id, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("the SD-WAN ended at once: %w", err)
	}
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return state.WriteFile(s.processFile(), data, 0o600)
}

// waitAttached waits until every site's device is held.
func (s *SDWAN) waitAttached(ctx context.Context) error {
	client := wan.NewClient(s.Socket())
	for {
		err := attached(ctx, client)
		if err == nil {
			return nil
		}
		if !s.Running() {
			return errors.New("the SD-WAN ended")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last seen: %w", context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func attached(ctx context.Context, client *wan.Client) error {
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	for _, site := range status.Sites {
		if !site.Attached {
			return fmt.Errorf("site %s: %s", site.Name, site.Error)
		}
	}
	return nil
}

// Stop ends the process and keeps its files. Until Start, nothing crosses between clusters.
func (s *SDWAN) Stop(ctx context.Context) error {
	if err := s.kill(); err != nil {
		return err
	}
	if err := s.Groups.Kill(ctx, s.Group); err != nil {
		return err
	}
	if err := s.Groups.Remove(ctx, s.Group); err != nil {
		return err
	}
	for _, f := range []string{s.processFile(), s.Socket()} {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// kill ends the process even when it has not been moved into its control group yet.
func (s *SDWAN) kill() error {
	var id process.ID
	if readJSON(s.processFile(), &id) != nil || !id.Alive() {
		return nil
	}
	if err := syscall.Kill(id.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end the SD-WAN: %w", err)
	}
	return nil
}
