// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one entry of a layer, owned by root. Exactly one of source, content and link says what it is; none of them
// makes it a folder.
type file struct {
	path    string // absolute, in the image
	mode    int64  // permissions; of links and of zero, the usual ones
	source  string // path on this machine of a program
	content string
	link    string // target of a symbolic link
}

// filesLayer makes a layer of the files and of the folders that lead to them. Layers are not compressed: they never
// cross a network, and unpacking and importing them is twice as fast. Entries have no time (1970) and are sorted, so a
// layer depends on content alone and what has not changed is recognised by digest.
func filesLayer(files []file) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	made := map[string]bool{"/": true}
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b file) int { return cmp.Compare(a.path, b.path) }) {
		if err := writeParents(w, made, f.path); err != nil {
			return nil, err
		}
		if err := f.write(w); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return static.NewLayer(buf.Bytes(), types.DockerUncompressedLayer), nil
}

func writeParents(w *tar.Writer, made map[string]bool, name string) error {
	dir := path.Dir(name)
	if made[dir] {
		return nil
	}
	if err := writeParents(w, made, dir); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755})
}

func (f file) write(w *tar.Writer) error {
	h := &tar.Header{Name: strings.TrimPrefix(f.path, "/"), Mode: f.mode}
	switch {
	case f.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		return w.WriteHeader(h)
	case f.source != "":
		in, err := os.Open(f.source)
		if err != nil {
			return err
		}
		defer closeRead(in)
		info, err := in.Stat()
		if err != nil {
			return err
		}
		h.Typeflag, h.Size, h.Mode = tar.TypeReg, info.Size(), cmp.Or(f.mode, 0o755)
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = io.Copy(w, in)
		return err
	case f.content != "":
		h.Typeflag, h.Size, h.Mode = tar.TypeReg, int64(len(f.content)), cmp.Or(f.mode, 0o644)
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.WriteString(w, f.content)
		return err
	}
	h.Typeflag, h.Name, h.Mode = tar.TypeDir, h.Name+"/", cmp.Or(f.mode, 0o755)
	return w.WriteHeader(h)
}

// debian is what is taken from mmdebstrap's tar: a layer, and the certificates it holds as one bundle.
type debian struct {
	layer  v1.Layer
	caCert string
}

// readDebian makes a layer of a root file system: without devices (the runtime makes them), documentation, other
// languages, Perl (which only packages' scripts use) and package databases; times set to the epoch.
func readDebian(in io.Reader) (debian, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	certs := map[string]string{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return debian{}, err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if !debianKeeps(name, h.Typeflag) {
			continue
		}
		out := &tar.Header{Typeflag: h.Typeflag, Name: name, Mode: h.Mode, Size: h.Size, Linkname: h.Linkname, Uid: h.Uid, Gid: h.Gid}
		switch h.Typeflag {
		case tar.TypeDir:
			out.Name += "/"
		case tar.TypeLink:
			out.Linkname = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return debian{}, err
		}
		if err := w.WriteHeader(out); err != nil {
			return debian{}, fmt.Errorf("%s: %w", name, err)
		}
		if _, err := w.Write(content); err != nil {
			return debian{}, fmt.Errorf("%s: %w", name, err)
		}
		if strings.HasPrefix(name, "usr/share/ca-certificates/mozilla/") && strings.HasSuffix(name, ".crt") {
			certs[name] = string(content)
		}
	}
	if err := w.Close(); err != nil {
		return debian{}, err
	}
	return debian{layer: static.NewLayer(buf.Bytes(), types.DockerUncompressedLayer), caCert: joinSorted(certs)}, nil
}

// debianKeeps says whether an entry of the root file system goes into images.
func debianKeeps(name string, kind byte) bool {
	if name == "" || kind == tar.TypeChar || kind == tar.TypeBlock || kind == tar.TypeFifo {
		return false
	}
	for _, dir := range []string{
		"dev", "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/perl",
		"usr/share/bash-completion", "usr/lib/locale", "var/cache", "var/lib/apt", "var/lib/dpkg", "etc/apt",
	} {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return false
		}
	}
	// usr/lib/ARCHITECTURE/{gconv,perl,perl-base}
	if rest, ok := strings.CutPrefix(name, "usr/lib/"); ok {
		_, rest, _ = strings.Cut(rest, "/")
		first, _, _ := strings.Cut(rest, "/")
		return first != "gconv" && first != "perl" && first != "perl-base"
	}
	return true
}

func joinSorted(parts map[string]string) string {
	var names []string
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(parts[name])
		if !strings.HasSuffix(parts[name], "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// debianFixups are what the packages' scripts, which did not run, would have made.
func debianFixups(caCert string) []file {
	files := []file{
		{path: "/etc/ssl/certs/ca-certificates.crt", content: caCert},
		{path: "/etc/nsswitch.conf", content: "passwd: files\ngroup: files\nhosts: files dns\n"},
		{path: "/usr/bin/nc", link: "/bin/nc.openbsd"},
	}
	// The alternatives system would link these; nft is also what kube-proxy uses.
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		files = append(files, file{path: "/usr/sbin/" + name, link: "xtables-nft-multi"})
	}
	return append(files, accounts()...)
}

// accounts are in every image, so that programs find names for the users that pods run as, and a place to write.
func accounts() []file {
	return []file{
		{path: "/etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\nistio-proxy:x:1337:1337::/:/bin/false\n" +
			"nobody:x:65534:65534:nobody:/:/bin/false\nnonroot:x:65532:65532:nonroot:/:/bin/false\n"},
		{path: "/etc/group", content: "root:x:0:\nistio-proxy:x:1337:\nnogroup:x:65534:\nnonroot:x:65532:\n"},
		{path: "/tmp", mode: 0o1777},
	}
}
