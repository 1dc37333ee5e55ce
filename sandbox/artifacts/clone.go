// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// CloneTemplate makes dst, which must not exist, a containerd root with every image of the set: blobs and unpacked
// layers are hard links (containerd and overlayfs never write to them), its databases are copies. dst must be on the
// template's file system. It takes less than a second.
func (s Set) CloneTemplate(dst string) error {
	if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("containerd root %s exists already: remove it first", dst)
	}
	// A template that another process is importing into has a database that must not be copied half written.
	ctx, cancel := context.WithTimeout(context.Background(), 2*templateTimeout)
	defer cancel()
	unlock, err := lockFile(ctx, filepath.Join(filepath.Dir(filepath.Dir(s.Template)), templateLock))
	if err != nil {
		return err
	}
	defer unlock()
	err = filepath.WalkDir(s.Template, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(s.Template, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		switch {
		case d.IsDir():
			return cloneDir(d, to)
		case strings.HasSuffix(path, ".db"):
			return copyFile(path, to)
		}
		return os.Link(path, to)
	})
	if errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%s and %s must be on one file system, images are shared by hard links: %w", s.Template, dst, err)
	}
	return err
}

// cloneDir makes a folder with the owner and permissions of another: they are those that containers see.
func cloneDir(d fs.DirEntry, to string) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := os.Lchown(to, int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	// After Lchown, which clears setuid and setgid.
	return os.Chmod(to, info.Mode())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer closeRead(in)
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
