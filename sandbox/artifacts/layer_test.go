// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestFilesLayerDependsOnContentAlone(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "program")
	put(t, dir, "b", "program")
	if err := os.Chtimes(filepath.Join(dir, "b"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	one := []file{{path: "/x/y/prog", source: filepath.Join(dir, "a")}, {path: "/etc/passwd", content: "root"}, {path: "/tmp", mode: 0o1777}}
	two := []file{{path: "/tmp", mode: 0o1777}, {path: "/etc/passwd", content: "root"}, {path: "/x/y/prog", source: filepath.Join(dir, "b")}}

	if digest(t, mustLayer(t, one)) != digest(t, mustLayer(t, two)) {
		t.Error("order of files, times or permissions on this machine changed the layer")
	}
	put(t, dir, "b", "other program")
	if digest(t, mustLayer(t, one)) == digest(t, mustLayer(t, two)) {
		t.Error("other content left the layer as it was")
	}
}

func TestFilesLayerEntries(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "p", "program")
	got := entries(t, mustLayer(t, []file{
		{path: "/usr/bin/p", source: filepath.Join(dir, "p")},
		{path: "/usr/bin/q", link: "p"},
		{path: "/usr/share/text", content: "hello"},
		{path: "/tmp", mode: 0o1777},
	}))
	want := []string{
		"5 tmp/ 1777 ", "5 usr/ 755 ", "5 usr/bin/ 755 ", "0 usr/bin/p 755 program", "2 usr/bin/q 777 ->p",
		"5 usr/share/ 755 ", "0 usr/share/text 644 hello",
	}
	if !slices.Equal(got, want) {
		t.Errorf("entries:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFilesLayerNamesWhatIsMissing(t *testing.T) {
	_, err := filesLayer([]file{{path: "/prog", source: filepath.Join(t.TempDir(), "none")}})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/prog") {
		t.Errorf("error %v, want one that names /prog", err)
	}
}

func TestReadDebian(t *testing.T) {
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "./dev/", Mode: 0o755},
		{Typeflag: tar.TypeChar, Name: "./dev/null", Mode: 0o666, Devmajor: 1, Devminor: 3},
		{Typeflag: tar.TypeReg, Name: "./bin/su", Mode: 0o4755, Size: 1, ModTime: time.Unix(1234567890, 0), Gname: "root"},
		{Typeflag: tar.TypeLink, Name: "./bin/su2", Linkname: "./bin/su"},
		{Typeflag: tar.TypeSymlink, Name: "./bin/sh", Linkname: "dash", Mode: 0o777},
		{Typeflag: tar.TypeReg, Name: "./usr/share/doc/bash/copyright", Size: 1},
		{Typeflag: tar.TypeReg, Name: "./usr/lib/x86_64-linux-gnu/perl/5.36/a.so", Size: 1},
		{Typeflag: tar.TypeReg, Name: "./usr/lib/x86_64-linux-gnu/libperl-like.so", Mode: 0o644, Size: 1},
		{Typeflag: tar.TypeReg, Name: "./usr/share/ca-certificates/mozilla/B.crt", Mode: 0o644, Size: 1},
		{Typeflag: tar.TypeReg, Name: "./usr/share/ca-certificates/mozilla/A.crt", Mode: 0o644, Size: 1},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte{h.Name[len(h.Name)-5]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	got, err := readDebian(&in)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 bin/su 4755 i", "1 bin/su2 0 ->bin/su", "2 bin/sh 777 ->dash", "0 usr/lib/x86_64-linux-gnu/libperl-like.so 644 k",
		"0 usr/share/ca-certificates/mozilla/B.crt 644 B", "0 usr/share/ca-certificates/mozilla/A.crt 644 A",
	}
	if e := entries(t, got.layer); !slices.Equal(e, want) {
		t.Errorf("entries:\n%s\nwant:\n%s", strings.Join(e, "\n"), strings.Join(want, "\n"))
	}
	if got.caCert != "A\nB\n" {
		t.Errorf("bundle %q, want A and B", got.caCert)
	}
}

func TestImageIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "p", "program")
	spec := imageSpec{
		name: EchoImage, files: []from{{"apps", file{path: "/echo", source: filepath.Join(dir, "p")}}},
		entrypoint: []string{"/echo"}, user: "65532:65532",
	}
	one, two := filepath.Join(dir, "1.tar"), filepath.Join(dir, "2.tar")
	for _, out := range []string{one, two} {
		if err := spec.write(nil, out); err != nil {
			t.Fatal(err)
		}
	}
	a, err := fileDigest(one)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fileDigest(two); err != nil || a != b {
		t.Errorf("the same image made twice differs: %s %s %v", a, b, err)
	}
}

func mustLayer(t *testing.T, files []file) v1.Layer {
	t.Helper()
	layer, err := filesLayer(files)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func digest(t *testing.T, layer v1.Layer) string {
	t.Helper()
	d, err := layer.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// entries lists a layer: type, name, octal permissions, and content or link; it fails on a time or another owner.
func entries(t *testing.T, layer v1.Layer) []string {
	t.Helper()
	rc, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	var list []string
	for r := tar.NewReader(rc); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 0 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s: time %s, owner %d:%d %q:%q", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Linkname != "" {
			content = []byte("->" + h.Linkname)
		}
		list = append(list, strings.Join([]string{string(h.Typeflag), h.Name, strconv.FormatInt(h.Mode, 8), string(content)}, " "))
	}
}
