// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/sandbox/network"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func input() Input {
	return Input{
		Cluster:   network.Plan{Name: "mcw", Slot: 1}.Cluster(2),
		ConfigDir: "/state/mcw/cluster-2/config", PKIDir: "/state/mcw/cluster-2/pki", EtcdDir: "/state/mcw/cluster-2/etcd",
		CgroupRoot: "/mcwan-sandbox/mcw/cluster-2",
		CNIBinDir:  "/build/cnibin", Shim: "/build/bin/containerd-shim-runc-v2", Runc: "/usr/sbin/runc",
		PauseImage: "example/pause:1",
	}
}

func TestGolden(t *testing.T) {
	files, err := Render(input())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("testdata", "cluster-2")
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, got := range files {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (rewrite with -update):\n%s", name, diff)
		}
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name, err := filepath.Rel(dir, path); err != nil || files[name] == nil {
			t.Errorf("%s is rendered no more: delete it, or rewrite with -update (%v)", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRenderedFilesParse(t *testing.T) {
	files, err := Render(input())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var into any
		switch filepath.Ext(name) {
		case ".yaml":
			err = yaml.UnmarshalStrict(files[name], &into)
		case ".conflist":
			err = json.Unmarshal(files[name], &into)
		case ".args":
			for line := range bytes.Lines(files[name]) {
				if !strings.HasPrefix(string(line), "--") {
					t.Errorf("%s: %q is not a flag", name, line)
				}
			}
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
