// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keyHash collects what goes into a step. Each part is written with its length, so that no two lists of parts have
// the same bytes.
type keyHash struct {
	h hash.Hash
}

func newKey(parts ...string) *keyHash {
	k := &keyHash{sha256.New()}
	k.add(parts...)
	return k
}

func (k *keyHash) add(parts ...string) {
	for _, p := range parts {
		k.h.Write(fmt.Appendf(nil, "%d:%s\n", len(p), p))
	}
}

// addTree adds the names and contents of the files below dir that keep accepts (given by their path below dir, with
// slashes), in lexical order; a dir that is not there counts as empty.
func (k *keyHash) addTree(dir string, keep func(path string) bool) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == dir && os.IsNotExist(err) {
				return fs.SkipAll
			}
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || !d.Type().IsRegular() || !keep(filepath.ToSlash(rel)) {
			return err
		}
		digest, err := fileDigest(path)
		if err != nil {
			return err
		}
		k.add(filepath.ToSlash(rel), digest)
		return nil
	})
}

func (k *keyHash) sum() string { return hex.EncodeToString(k.h.Sum(nil)) }

// goInput says whether a file of a Go module takes part in a build: everything but tests (files that are embedded
// may have any name).
func goInput(path string) bool {
	return !strings.HasSuffix(path, "_test.go") && !strings.Contains("/"+path, "/testdata/")
}

// fileDigest is the sha256 of a file's content, hexadecimal.
func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer closeRead(f)
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// closeRead closes what was only read from: there is nothing that an error could have lost.
func closeRead(c io.Closer) { _ = c.Close() }
