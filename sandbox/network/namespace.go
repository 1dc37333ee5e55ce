// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceDir is where iproute2 and everybody else looks for named network namespaces.
const namespaceDir = "/run/netns"

// NamespacePath is the file that stands for the cluster's network namespace.
func (c Cluster) NamespacePath() string { return filepath.Join(namespaceDir, c.Namespace) }

// InNamespace runs f on a thread that is inside the network namespace at path. What f starts (processes) or opens
// (sockets, files below /proc/sys/net) belongs to that namespace; goroutines that f starts do not.
func InNamespace(path string, f func() error) error {
	target, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", path, err)
	}
	defer func() { _ = target.Close() }() // a handle to look through
	return onOwnThread(func() error {
		if err := netns.Set(target); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return f()
	})
}

// onOwnThread runs f on a thread that may change its namespaces, and puts the thread back afterwards. A thread that
// cannot be put back is never used again.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer func() { _ = home.Close() }()
		err = f()
		if back := netns.Set(home); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// namespaceExists says whether the file is a network namespace; a file whose mount is gone (as after a crash between
// two steps) is removed.
func namespaceExists(c Cluster) (bool, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(c.NamespacePath(), &fs)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("network namespace %s: %w", c.NamespacePath(), err)
	}
	if fs.Type == unix.NSFS_MAGIC {
		return true, nil
	}
	return false, os.Remove(c.NamespacePath())
}

func ensureNamespace(c Cluster) error {
	if there, err := namespaceExists(c); there || err != nil {
		return err
	}
	if err := shareNamespaceDir(); err != nil {
		return err
	}
	return onOwnThread(func() error {
		ns, err := netns.NewNamed(c.Namespace)
		if err != nil {
			return fmt.Errorf("make network namespace %s: %w", c.Namespace, err)
		}
		return ns.Close()
	})
}

// shareNamespaceDir makes the folder a shared mount, as iproute2 does before it adds a namespace. Where it is none yet,
// `ip netns add` mounts the folder over itself: mounts made before are hidden below, and cannot be taken away by name.
func shareNamespaceDir() error {
	if err := os.MkdirAll(namespaceDir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", namespaceDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // no mount point
		if err := unix.Mount(namespaceDir, namespaceDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", namespaceDir, err)
		}
		err = unix.Mount("", namespaceDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	}
	if err != nil {
		return fmt.Errorf("share mount %s: %w", namespaceDir, err)
	}
	return nil
}

// releaseNamespaceDir takes that mount away when there is no namespace any more, whoever made it: it is made again by
// the next.
func releaseNamespaceDir() error {
	entries, err := os.ReadDir(namespaceDir)
	if err != nil || len(entries) > 0 {
		return nil //nolint:nilerror // a folder that is not there needs no release
	}
	if err := unix.Unmount(namespaceDir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", namespaceDir, err)
	}
	return nil
}

func deleteNamespace(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return releaseNamespaceDir()
}

// namespacesOf finds the namespaces of a sandbox by name, so that they are found when its record is lost.
func namespacesOf(name string) ([]string, error) {
	entries, err := os.ReadDir(namespaceDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), name+".cluster-") {
			paths = append(paths, filepath.Join(namespaceDir, e.Name()))
		}
	}
	return paths, nil
}
