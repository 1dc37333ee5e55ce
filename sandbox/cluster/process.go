// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/process"
	"github.com/l7mp/mc-wan/sandbox/state"
)

// Running says whether the cluster's process 1 lives.
func (c *Cluster) Running() bool {
	id, err := c.readProcess()
	return err == nil && id.Alive()
}

func (c *Cluster) readProcess() (process.ID, error) {
	var id process.ID
	data, err := os.ReadFile(c.processFile())
	if err != nil {
		return id, err
	}
	return id, json.Unmarshal(data, &id)
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
	out, err := os.OpenFile(c.Log(InitLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := exec.Command("/proc/self/exe", "internal", "init", c.specFile())
	cmd.Args[0] = "mcwan-sandbox"
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if err := network.InNamespace(c.NamespacePath(), cmd.Start); err != nil {
		return nil, fmt.Errorf("start process 1: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(ended)
	}()
	id, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		return nil, fmt.Errorf("process 1 ended at once: %w", err)
	}
	data, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	return ended, state.WriteFile(c.processFile(), data, 0o600)
}

// Stop ends every process of the cluster, found by its control group, and keeps its files.
func (c *Cluster) Stop(ctx context.Context) error {
	if id, err := c.readProcess(); err == nil && id.Alive() {
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
