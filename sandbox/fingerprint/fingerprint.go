// SPDX-License-Identifier: Apache-2.0

// Package fingerprint tells whether something that was installed is still what would be installed now.
package fingerprint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/l7mp/mc-wan/sandbox/state"
)

// Part is one thing that goes into a fingerprint.
type Part func(h hash.Hash) error

// Of sums parts up.
func Of(parts ...Part) (string, error) {
	h := sha256.New()
	for i, p := range parts {
		_, _ = fmt.Fprintf(h, "part %d\n", i) // a hash takes everything
		if err := p(h); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Bytes is content.
func Bytes(data []byte) Part {
	return func(h hash.Hash) error {
		_, err := h.Write(data)
		return err
	}
}

// Stat is a large file by its size and modification time.
func Stat(path string) Part {
	return func(h hash.Hash) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%d %s\n", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
		return err
	}
}

// Tree is all files below a folder, by name and content.
func Tree(dir string) Part {
	return func(h hash.Hash) error {
		return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(h, "%s %d\n%s\n", rel, len(data), data)
			return err
		})
	}
}

// Mark remembers a fingerprint in a file.
type Mark struct {
	File string
}

// Is says whether the remembered fingerprint is this one.
func (m Mark) Is(print string) bool {
	data, err := os.ReadFile(m.File)
	return err == nil && strings.TrimSpace(string(data)) == print
}

// Set remembers a fingerprint.
func (m Mark) Set(print string) error { return state.WriteFile(m.File, []byte(print+"\n"), 0o600) }
