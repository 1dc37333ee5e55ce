// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/progress"
	"github.com/l7mp/mc-wan/sandbox/state"
)

const downTimeout = 2 * time.Minute

// Down removes a sandbox, whole or in ruins, with all that is of it: processes, networks, control groups and files.
// Removing what is not there is no error.
func (m *Manager) Down(ctx context.Context, name string) error {
	if err := CheckRoot(); err != nil {
		return err
	}
	groups, err := cgroup.Detect(cgroup.DefaultMount)
	if err != nil {
		return err
	}
	lock, err := m.Store.Lock(ctx, name, func() { m.Progress.Printf(name, "another mcwan-sandbox works on it, waiting") })
	if err != nil {
		return err
	}
	defer lock.Release()
	return m.do(ctx, downTimeout, progress.Step{Subject: name, What: "removed"}, func(ctx context.Context) error {
		return m.remove(ctx, name, groups)
	})
}

func (m *Manager) remove(ctx context.Context, name string, groups *cgroup.Tree) error {
	slot, n := -1, 0
	switch record, err := m.Store.Load(name); {
	case err == nil:
		slot, n = record.Slot, record.Clusters
	case !errors.Is(err, fs.ErrNotExist):
		m.Progress.Printf(name, "its record cannot be read, going by names: %v", err)
	}
	if err := endProcesses(ctx, groups, name); err != nil {
		return err
	}
	if err := network.Remove(name, slot, n); err != nil {
		return err
	}
	if err := unmountBelow(m.Store.Dir(name)); err != nil {
		return err
	}
	if err := m.Store.Forget(name); err != nil {
		return err
	}
	return groups.RemoveIfEmpty(cluster.GroupRoot)
}

// endProcesses ends all at once; the end of each cluster's process 1 takes the rest of the cluster with it.
func endProcesses(ctx context.Context, groups *cgroup.Tree, name string) error {
	if err := groups.Kill(ctx, groupOf(name)); err != nil {
		return err
	}
	return groups.Remove(ctx, groupOf(name))
}

// unmountBelow takes away mounts inside the sandbox's folder. The sandbox makes none that the machine sees, but a
// person may have, and files below would be deleted through them.
func unmountBelow(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	return nil
}

// mountsBelow lists mount points inside a folder, the deepest first.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // was only read
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	return found, s.Err()
}

// All returns the names of all sandboxes of the state folder, and of those in ruins that no folder tells of: what runs
// below their control group was not started from another state folder.
func (m *Manager) All() ([]string, error) {
	names, err := m.Store.List()
	if err != nil {
		return nil, err
	}
	groups, err := cgroup.Detect(cgroup.DefaultMount)
	if err != nil {
		return nil, err
	}
	for _, n := range groups.Children(cluster.GroupRoot) {
		if state.ValidateName(n) != nil {
			continue
		}
		elsewhere, err := m.startedElsewhere(groups, n)
		if err != nil {
			return nil, err
		}
		if !elsewhere {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// startedElsewhere says whether a sandbox that runs has its files in another state folder: process 1 of a cluster and
// the SD-WAN name their file as their last argument.
func (m *Manager) startedElsewhere(groups *cgroup.Tree, name string) (bool, error) {
	members, err := groups.Members(groupOf(name))
	if err != nil {
		return false, err
	}
	for _, pid := range members {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
		if len(args) != 4 || args[0] != "mcwan-sandbox" || args[1] != "internal" {
			continue
		}
		if _, err := os.Stat(args[3]); err == nil && !strings.HasPrefix(args[3], m.Store.Dir(name)+"/") {
			return true, nil
		}
	}
	return false, nil
}

// forgetUnclaimed removes the empty folder of a sandbox that could not be made, and passes the reason on.
func (m *Manager) forgetUnclaimed(name string, reason error) error {
	if _, err := m.Store.Load(name); errors.Is(err, fs.ErrNotExist) {
		return errors.Join(reason, m.Store.Forget(name))
	}
	return reason
}
