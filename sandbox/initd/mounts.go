// SPDX-License-Identifier: Apache-2.0

package initd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// buildView makes the node's file system view in this process's own mount namespace. Mounts are private while it is
// built, so that nothing of it reaches the machine, and shared afterwards, because the kubelet's volumes and the
// runtime's root file systems have to reach the containers (mountPropagation in Kubernetes).
func buildView(s *Spec) error {
	if err := mount("", "/", unix.MS_REC|unix.MS_PRIVATE); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	mounts := s.Mounts
	for _, path := range s.Keep {
		if hidden(path, s.Mounts) {
			mounts = append(mounts, Mount{From: path, To: path})
		}
	}
	if err := bindAll(mounts); err != nil {
		return err
	}
	return mount("", "/", unix.MS_REC|unix.MS_SHARED)
}

// bindAll opens all sources before it mounts the first, because each mount may hide the sources of the others. Where a
// mount has hidden its target's folder too, the target is made anew.
func bindAll(mounts []Mount) (err error) {
	sources := make([]*os.File, 0, len(mounts))
	defer func() {
		for _, f := range sources {
			err = errors.Join(err, f.Close())
		}
	}()
	for _, m := range mounts {
		f, err := os.Open(m.From)
		if err != nil {
			return err
		}
		sources = append(sources, f)
	}
	for i, m := range mounts {
		if m.From == m.To {
			if err := os.MkdirAll(m.To, 0o755); err != nil {
				return err
			}
		}
		if err := mount(fmt.Sprintf("/proc/self/fd/%d", sources[i].Fd()), m.To, unix.MS_BIND); err != nil {
			return fmt.Errorf("%w (%s)", err, m.From)
		}
	}
	return nil
}

// hidden says whether a mount covers the path.
func hidden(path string, mounts []Mount) bool {
	for _, m := range mounts {
		if rel, err := filepath.Rel(m.To, path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return true
		}
	}
	return false
}

func mount(from, to string, flags uintptr) error {
	if err := unix.Mount(from, to, "", flags, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", from, to, err)
	}
	return nil
}
