// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

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
	for _, group := range []string{c.systemGroup(), path.Join(c.group(), "kubepods")} { // the latter by the kubelet's name for it
		if err := c.Groups.Create(group); err != nil {
			return nil, err
		}
	}
	// An API server is busy in bursts, and what pods of any cluster answer each other must not wait for it: on machines of
	// their own clusters do not share processors.
	if err := c.Groups.Weigh(c.systems(), cgroup.Background); err != nil {
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

// Usage is the memory that the cluster holds, in bytes, and the processor time that it has used since it was started.
func (c *Cluster) Usage() (memory int64, used time.Duration, err error) {
	for _, group := range c.groups() {
		m, memoryErr := c.Groups.Memory(group)
		u, usedErr := c.Groups.CPU(group)
		memory, used, err = memory+m, used+u, errors.Join(err, memoryErr, usedErr)
	}
	return memory, used, err
}

// Stop ends every process of the cluster, found by its control group, and keeps its files.
func (c *Cluster) Stop(ctx context.Context) error {
	if id, err := process.Read(c.processFile()); err == nil && id.Alive() {
		if err := syscall.Kill(id.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process 1 of %s: %w", c.Name, err)
		}
	}
	for _, group := range c.groups() {
		if err := c.Groups.Kill(ctx, group); err != nil {
			return err
		}
		if err := c.Groups.Remove(ctx, group); err != nil {
			return err
		}
	}
	if err := os.Remove(c.processFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
