// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultMount is where every distribution mounts control groups.
const DefaultMount = "/sys/fs/cgroup"

// needed are the controllers that the kubelet refuses to start without, optional those that in version 2 it wants below
// its root group where the machine has them (getSupportedUnifiedControllers in k8s.io/kubernetes/pkg/kubelet/cm).
func needed() []string   { return []string{"cpu", "cpuset", "memory", "pids"} }
func optional() []string { return []string{"hugetlb"} }

// Tree is the machine's control groups: one hierarchy with all controllers in version 2, several in version 1. A
// group has the same path below each of them.
type Tree struct {
	// Unified says whether this is version 2.
	Unified bool
	roots   []string
	// controllers are those that groups get in version 2.
	controllers []string
}

// Detect reads how control groups are mounted below mount, and says which controller is missing.
func Detect(mount string) (*Tree, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(mount, &stat); err != nil {
		return nil, fmt.Errorf("control groups: %w; mount them at %s", err, mount)
	}
	if stat.Type == unix.CGROUP2_SUPER_MAGIC {
		return unified(mount)
	}
	// beside the controllers' hierarchies there may be a unified one without controllers, which runc uses as well
	return split(mount, func(dir string) bool {
		var s unix.Statfs_t
		return unix.Statfs(dir, &s) == nil && (s.Type == unix.CGROUP_SUPER_MAGIC || s.Type == unix.CGROUP2_SUPER_MAGIC)
	})
}

func unified(mount string) (*Tree, error) {
	data, err := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	have := strings.Fields(string(data))
	for _, c := range needed() {
		if !slices.Contains(have, c) {
			return nil, fmt.Errorf("control group controller %q is missing in %s/cgroup.controllers; boot the kernel without cgroup_disable=%s", c, mount, c)
		}
	}
	controllers := needed()
	for _, c := range optional() {
		if slices.Contains(have, c) {
			controllers = append(controllers, c)
		}
	}
	return &Tree{Unified: true, roots: []string{mount}, controllers: controllers}, nil
}

// split finds the hierarchies of version 1. Controllers mounted together appear as one folder and symbolic links to it.
func split(mount string, isHierarchy func(dir string) bool) (*Tree, error) {
	entries, err := os.ReadDir(mount)
	if err != nil {
		return nil, err
	}
	t := &Tree{}
	var have []string
	for _, e := range entries {
		dir := filepath.Join(mount, e.Name())
		if e.IsDir() && isHierarchy(dir) {
			t.roots = append(t.roots, dir)
			have = append(have, strings.Split(e.Name(), ",")...)
		}
	}
	for _, c := range needed() {
		if !slices.Contains(have, c) {
			return nil, fmt.Errorf("control group controller %q is not mounted below %s", c, mount)
		}
	}
	return t, nil
}

// Create makes a group and its parents. The path is relative, like "mcwan-sandbox/mcw/systems/cluster-1"; below every
// parent all needed controllers are available, so parents must not hold processes in version 2.
func (t *Tree) Create(path string) error {
	for _, root := range t.roots {
		dir := root
		for _, part := range strings.Split(path, "/") {
			if t.Unified {
				if err := delegate(dir, t.controllers); err != nil {
					return err
				}
			}
			parent := dir
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("make control group: %w", err)
			}
			if err := inheritCPUSet(parent, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegate makes controllers available to the groups below dir.
func delegate(dir string, controllers []string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	have := strings.Fields(string(data))
	for _, c := range controllers {
		if slices.Contains(have, c) {
			continue
		}
		if err := os.WriteFile(file, []byte("+"+c), 0o644); err != nil {
			return fmt.Errorf("enable controller %q below %s: %w; in a container, move its processes out of the root group first", c, dir, err)
		}
	}
	return nil
}

// inheritCPUSet fills in what a cpuset group of version 1 needs before it accepts a process.
func inheritCPUSet(parent, dir string) error {
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		have, err := os.ReadFile(filepath.Join(dir, f))
		if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(have)) != "" {
			continue
		}
		if err != nil {
			return err
		}
		value, err := os.ReadFile(filepath.Join(parent, f))
		if err != nil {
			return err
		}
		if len(strings.TrimSpace(string(value))) == 0 {
			continue // version 2: empty means the parent's
		}
		if err := os.WriteFile(filepath.Join(dir, f), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Weights of groups among their siblings, in shares: a group that says nothing has 1024 of them (cgroups(7)).
const (
	// Foremost is the most there is: what runs in the group gets the processor before its siblings do.
	Foremost = 262144
	// Background is for what may wait when its siblings are busy.
	Background = 256
)

// Weigh sets a group's share of the processor where it is scarce.
func (t *Tree) Weigh(path string, shares uint64) error {
	file, weight := "cpu.shares", shares
	if t.Unified {
		// as the kubelet does for its groups: 2 to 262144 shares are weights of 1 to 10000
		file, weight = "cpu.weight", 1+((shares-2)*9999)/262142
	}
	dir, err := t.with(path, file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, file), strconv.AppendUint(nil, weight, 10), 0o644); err != nil {
		return fmt.Errorf("weight of control group %s: %w", path, err)
	}
	return nil
}

// ProcsFiles are the files that a process joins a group by, by writing "0" to each.
func (t *Tree) ProcsFiles(path string) []string {
	files := make([]string, 0, len(t.roots))
	for _, root := range t.roots {
		files = append(files, filepath.Join(root, path, "cgroup.procs"))
	}
	return files
}

// Enter moves this process into the group of these cgroup.procs files. Processes join by themselves and first of all,
// so that nothing they start is ever outside, whatever becomes of the process that started them.
func Enter(procsFiles []string) error {
	for _, f := range procsFiles {
		if err := os.WriteFile(f, []byte("0"), 0o644); err != nil {
			return fmt.Errorf("join control group: %w", err)
		}
	}
	return nil
}

// Exists says whether any hierarchy has the group.
func (t *Tree) Exists(path string) bool {
	return slices.ContainsFunc(t.roots, func(root string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err == nil
	})
}

// Children returns the names of the groups directly below path, sorted.
func (t *Tree) Children(path string) []string {
	var names []string
	for _, root := range t.roots {
		entries, err := os.ReadDir(filepath.Join(root, path))
		if err != nil {
			continue // the group is not in this hierarchy
		}
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
