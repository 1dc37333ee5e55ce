// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// lookAgain is how often it is looked whether a process has ended.
const lookAgain = 20 * time.Millisecond

// Members returns the processes of a group and of all groups below it.
func (t *Tree) Members(path string) ([]int, error) {
	var pids []int
	for _, root := range t.roots {
		found, err := membersBelow(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		pids = append(pids, found...)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

func membersBelow(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if gone(err) {
			return nil
		}
		if err != nil || e.IsDir() || e.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(p)
		if gone(err) {
			return nil
		}
		for _, f := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return err
	})
	return pids, err
}

// gone says whether an error means that the group ended while it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

// Kill ends every process of a group and of the groups below it, and waits until none is left or ctx ends.
func (t *Tree) Kill(ctx context.Context, path string) error {
	var pids []int
	err := wait.PollUntilContextCancel(ctx, lookAgain, true, func(context.Context) (bool, error) {
		var err error
		if pids, err = t.Members(path); err != nil {
			return false, err
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return false, fmt.Errorf("end process %d of %s: %w", pid, path, err)
			}
		}
		return len(pids) == 0, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("processes %v of %s do not end: %w", pids, path, context.Cause(ctx))
	}
	return err
}

// Remove deletes a group and the groups below it. They must be empty; a group that is still busy because its last
// process is being buried is tried again until ctx ends.
func (t *Tree) Remove(ctx context.Context, path string) error {
	for _, root := range t.roots {
		var busy error
		err := wait.PollUntilContextCancel(ctx, lookAgain, true, func(context.Context) (bool, error) {
			if busy = removeBelow(filepath.Join(root, path)); busy != nil && !errors.Is(busy, unix.EBUSY) {
				return false, busy
			}
			return busy == nil, nil
		})
		if wait.Interrupted(err) {
			return errors.Join(busy, context.Cause(ctx))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func removeBelow(dir string) error {
	entries, err := os.ReadDir(dir)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeBelow(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(dir); err != nil && !gone(err) {
		return &os.PathError{Op: "remove control group", Path: dir, Err: err}
	}
	return nil
}

// RemoveIfEmpty deletes a group unless it has processes or groups below it.
func (t *Tree) RemoveIfEmpty(path string) error {
	for _, root := range t.roots {
		err := unix.Rmdir(filepath.Join(root, path))
		if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) && !gone(err) {
			return err
		}
	}
	return nil
}
