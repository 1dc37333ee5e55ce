// SPDX-License-Identifier: Apache-2.0

package initd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
)

// Restart delays: doubled at every end of a program that did not run for long, back to the first one otherwise.
const (
	firstDelay = 500 * time.Millisecond
	lastDelay  = 15 * time.Second
	longRun    = time.Minute
)

// Run is process 1. It returns when ctx ends, or with an error when the cluster cannot be set up.
func Run(ctx context.Context, s *Spec, children <-chan os.Signal, log *slog.Logger) error {
	if err := cgroup.Enter(s.CgroupFiles); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := buildView(s); err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	sup := &supervisor{log: log, running: map[int]*child{}}
	for _, p := range s.Programs {
		sup.start(&child{Program: p})
	}
	return sup.loop(ctx, children)
}

// raiseFileLimit gives programs as many open files as the machine allows; the runtime's own raise is not inherited.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// child is a supervised program and when it may be started again.
type child struct {
	Program
	started time.Time
	delay   time.Duration
}

type supervisor struct {
	log     *slog.Logger
	running map[int]*child
	waiting []*child
}

// loop reaps every process that ends, the programs and what they left behind, and restarts the programs.
func (s *supervisor) loop(ctx context.Context, children <-chan os.Signal) error {
	for {
		wake := s.nextStart()
		select {
		case <-ctx.Done():
			return nil
		case <-children:
			s.reap()
		case <-wake:
			s.startDue(time.Now())
		}
	}
}

// reap collects all processes that have ended; one signal can stand for several.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if c, ok := s.running[pid]; ok {
			delete(s.running, pid)
			s.ended(c, status)
		}
	}
}

func (s *supervisor) ended(c *child, status syscall.WaitStatus) {
	c.delay = nextDelay(c.delay, time.Since(c.started))
	s.log.Warn("program ended", "program", c.Name, "exit", status.ExitStatus(), "signal", status.Signal().String(), "restartIn", c.delay, "log", c.Log)
	c.started = time.Now().Add(c.delay)
	s.waiting = append(s.waiting, c)
}

// nextDelay is how long to wait before a program that ran for ran is started again, after it waited for last.
func nextDelay(last, ran time.Duration) time.Duration {
	if ran >= longRun || last == 0 {
		return firstDelay
	}
	return min(2*last, lastDelay)
}

// nextStart fires when the first waiting program is due; nil, which never fires, when none waits.
func (s *supervisor) nextStart() <-chan time.Time {
	var first time.Time
	for _, c := range s.waiting {
		if first.IsZero() || c.started.Before(first) {
			first = c.started
		}
	}
	if first.IsZero() {
		return nil
	}
	return time.After(time.Until(first))
}

func (s *supervisor) startDue(now time.Time) {
	waiting := s.waiting
	s.waiting = nil
	for _, c := range waiting {
		if c.started.After(now) {
			s.waiting = append(s.waiting, c)
			continue
		}
		s.start(c)
	}
}

// start runs a program; one that cannot be started is tried again like one that ended.
func (s *supervisor) start(c *child) {
	c.started = time.Now()
	pid, err := spawn(c.Program)
	if err != nil {
		c.delay = nextDelay(c.delay, 0)
		s.log.Error("program cannot be started", "program", c.Name, "error", err, "restartIn", c.delay)
		c.started = c.started.Add(c.delay)
		s.waiting = append(s.waiting, c)
		return
	}
	s.log.Info("program started", "program", c.Name, "pid", pid)
	s.running[pid] = c
}

// spawn does not use os/exec, whose waiting would compete with reap.
func spawn(p Program) (int, error) {
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = out.Close() }() // the program has its own
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	return syscall.ForkExec(p.Argv[0], p.Argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   p.Env,
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}
