// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// DefaultRoot is where sandboxes live unless --state-dir says otherwise. It has to be on a file system that
// overlayfs can stack on; on the file system of the build folder images are shared by hard links.
const DefaultRoot = "/var/lib/mcwan-sandbox"

const recordFile = "sandbox.json"

// Store is the folder of all sandboxes of this machine.
type Store struct {
	Root string
}

// Dir is the folder of one sandbox.
func (s Store) Dir(name string) string { return filepath.Join(s.Root, name) }

// List returns the names of all sandboxes that have a folder, sorted, whole or not.
func (s Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && ValidateName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Load reads a sandbox's record; errors.Is(err, fs.ErrNotExist) when there is none.
func (s Store) Load(name string) (*Record, error) {
	return readRecord(s.Dir(name))
}

// Save writes a sandbox's record.
func (s Store) Save(r *Record) error {
	return writeRecord(s.Dir(r.Name), r)
}

// Claim returns the sandbox's record, or makes one with a slot that no other sandbox has and that usable accepts.
// It holds the store's lock while it looks, so that two sandboxes started at once get different slots.
func (s Store) Claim(ctx context.Context, want Record, slots int, usable func(slot int) bool) (*Record, error) {
	if err := want.Validate(); err != nil {
		return nil, err
	}
	lock, err := s.lock(ctx, s.Root)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if r, err := s.Load(want.Name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	taken, err := s.takenSlots()
	if err != nil {
		return nil, err
	}
	for slot := range slots {
		if slices.Contains(taken, slot) || !usable(slot) {
			continue
		}
		want.Slot = slot
		return &want, s.Save(&want)
	}
	return nil, fmt.Errorf("no free address range for sandbox %q: %d of %d slots are taken by other sandboxes, the rest by networks of this machine; remove a sandbox with mcwan-sandbox down --name NAME", want.Name, len(taken), slots)
}

func (s Store) takenSlots() ([]int, error) {
	names, err := s.List()
	if err != nil {
		return nil, err
	}
	var taken []int
	for _, n := range names {
		r, err := s.Load(n)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a folder whose creation was cut short has no slot yet
		}
		if err != nil {
			return nil, err
		}
		taken = append(taken, r.Slot)
	}
	return taken, nil
}

// Lock is an exclusive hold on a folder, released by Release or by the end of the process.
type Lock struct {
	file *os.File
}

// Release gives the lock back.
func (l *Lock) Release() { _ = l.file.Close() }

// Lock makes the sandbox's folder and holds it, so that only one up or down works on a sandbox. It waits until the
// holder is done or ctx ends; waiting is called once if it has to wait.
func (s Store) Lock(ctx context.Context, name string, waiting func()) (*Lock, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	if l, err := tryLock(s.Dir(name)); l != nil || err != nil {
		return l, err
	}
	waiting()
	return s.lock(ctx, s.Dir(name))
}

func (s Store) lock(ctx context.Context, dir string) (*Lock, error) {
	var l *Lock
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) {
		var err error
		l, err = tryLock(dir)
		return l != nil, err
	})
	if wait.Interrupted(err) {
		return nil, fmt.Errorf("waiting for another mcwan-sandbox to let go of %s: %w", dir, context.Cause(ctx))
	}
	return l, err
}

// tryLock returns nil without an error when somebody else has the lock, or when the folder was removed by the last
// holder while we took it.
func tryLock(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	held, err1 := f.Stat()
	there, err2 := os.Stat(dir)
	if err1 != nil || err2 != nil || !os.SameFile(held, there) {
		_ = f.Close()
		return nil, nil
	}
	return &Lock{file: f}, nil
}

// Forget removes a sandbox's folder, and the store's folder with the last one. The caller holds the sandbox's lock.
func (s Store) Forget(name string) error {
	if err := os.RemoveAll(s.Dir(name)); err != nil {
		return err
	}
	if err := os.Remove(s.Root); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
