// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/process"
)

// Running says whether the cluster's process 1 lives.
func (c *Cluster) Running() bool {
	id, err := process.Read(c.processFile())
	return err == nil && id.Alive()
}

// start runs process 1. The channel is closed when it ends.
func (c *Cluster) start() (<-chan struct{}, error) {
	if err := c.Groups.Create(c.systemGroup()); err != nil {
		return nil, err
	}
	// An API server is busy in bursts, and what pods answer each other must not wait for it: on machines of their own
	// clusters do not share processors.
	if err := c.Groups.Weigh(c.systemGroup(), cgroup.Background); err != nil {
		return nil, err
	}
	if err := c.rotateLogs(); err != nil {
		return nil, err
	}
	ended, err := process.Spawn{
		Args:       []string{"internal", "init", c.specFile()},
		Log:        c.Log(InitLog),
		File:       c.processFile(),
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Within:     func(start func() error) error { return network.InNamespace(c.NamespacePath(), start) },
	}.Start()
	if err != nil {
		return nil, fmt.Errorf("process 1: %w", err)
	}
	return ended, nil
}

// Stop ends every process of the cluster, found by its control group, and keeps its files.
func (c *Cluster) Stop(ctx context.Context) error {
	if id, err := process.Read(c.processFile()); err == nil && id.Alive() {
		if err := syscall.Kill(id.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process 1 of %s: %w", c.Name, err)
		}
	}
	if err := c.Groups.Kill(ctx, c.Group()); err != nil {
		return err
	}
	if err := c.Groups.Remove(ctx, c.Group()); err != nil {
		return err
	}
	if err := os.Remove(c.processFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
