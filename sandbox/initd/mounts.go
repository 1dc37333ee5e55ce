// SPDX-License-Identifier: Apache-2.0

package initd

import (
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
	kept, err := openHidden(s)
	if err != nil {
		return err
	}
	for _, m := range s.Mounts {
		if err := mount(m.From, m.To, unix.MS_BIND); err != nil {
			return err
		}
	}
	for path, dir := range kept {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := mount(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), path, unix.MS_BIND); err != nil {
			return err
		}
		if err := dir.Close(); err != nil {
			return err
		}
	}
	return mount("", "/", unix.MS_REC|unix.MS_SHARED)
}

// openHidden opens the folders that a mount is about to hide.
func openHidden(s *Spec) (map[string]*os.File, error) {
	kept := map[string]*os.File{}
	for _, path := range s.Keep {
		if !hidden(path, s.Mounts) {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		kept[path] = f
	}
	return kept, nil
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
