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
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/process"
	"github.com/l7mp/mc-wan/sandbox/state"
	"github.com/l7mp/mc-wan/sandbox/wan"
)

// Running says whether the process lives.
func (s *SDWAN) Running() bool {
	id, err := process.Read(s.processFile())
	return err == nil && id.Alive()
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
	_, err := process.Spawn{Args: []string{"internal", "wan", s.configFile()}, Log: s.Log(), File: s.processFile()}.Start()
	if err != nil {
		return fmt.Errorf("the SD-WAN: %w", err)
	}
	return nil
}

// waitAttached waits until every site's device is held.
func (s *SDWAN) waitAttached(ctx context.Context) error {
	client := wan.NewClient(s.Socket())
	var seen error
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if seen = attached(ctx, client); seen != nil && !s.Running() {
			return false, errors.New("the SD-WAN ended")
		}
		return seen == nil, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("%w; last seen: %w", context.Cause(ctx), seen)
	}
	return err
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
	id, err := process.Read(s.processFile())
	if err != nil || !id.Alive() {
		return nil
	}
	if err := syscall.Kill(id.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end the SD-WAN: %w", err)
	}
	return nil
}
