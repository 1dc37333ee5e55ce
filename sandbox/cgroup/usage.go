// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Memory is what a group holds that the kernel cannot take back at once: usage without inactive file pages, in bytes,
// the same number that the kubelet calls working set.
func (t *Tree) Memory(path string) (int64, error) {
	current, inactive := "memory.usage_in_bytes", "total_inactive_file"
	if t.Unified {
		current, inactive = "memory.current", "inactive_file"
	}
	dir, err := t.with(path, current)
	if err != nil {
		return 0, err
	}
	used, err := readNumber(filepath.Join(dir, current))
	if err != nil {
		return 0, err
	}
	cached, err := readKey(filepath.Join(dir, "memory.stat"), inactive)
	if err != nil {
		return 0, err
	}
	return max(used-cached, 0), nil
}

// CPU is the processor time a group has used since it was made.
func (t *Tree) CPU(path string) (time.Duration, error) {
	if t.Unified {
		us, err := readKey(filepath.Join(t.roots[0], path, "cpu.stat"), "usage_usec")
		return time.Duration(us) * time.Microsecond, err
	}
	dir, err := t.with(path, "cpuacct.usage")
	if err != nil {
		return 0, err
	}
	ns, err := readNumber(filepath.Join(dir, "cpuacct.usage"))
	return time.Duration(ns), err
}

// with finds the hierarchy that has a file for the group.
func (t *Tree) with(path, file string) (string, error) {
	for _, root := range t.roots {
		dir := filepath.Join(root, path)
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("control group %s: %s: %w", path, file, os.ErrNotExist)
}

func readNumber(file string) (int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
}

func readKey(file, key string) (int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), " "); ok && k == key {
			return strconv.ParseInt(v, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %q", file, key)
}
