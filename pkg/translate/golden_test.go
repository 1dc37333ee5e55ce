// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/pkg/snapshot"
)

var update = flag.Bool("update", false, "rewrite testdata/*/out.yaml")

// ownCluster is the cluster for which every golden is rendered.
const ownCluster = "cluster-1"

func cases(t testing.TB) []string {
	t.Helper()
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "in.yaml")); err != nil {
			t.Fatalf("%s holds no case: write its in.yaml or delete it (%v)", dir, err)
		}
	}
	return dirs
}

// options: the cases about dummy Services have them; in the others they would hide what the case is about.
func options(dir string) snapshot.Options {
	return snapshot.Options{ClusterID: ownCluster, DummyServices: strings.HasPrefix(filepath.Base(dir), "dummy")}
}

func read(t testing.TB, dir string) *snapshot.Files {
	t.Helper()
	name := filepath.Join(dir, "in.yaml")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := snapshot.Read(options(dir), snapshot.File{Name: name, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func render(t testing.TB, f *snapshot.Files) string {
	t.Helper()
	out, err := snapshot.Marshal(snapshot.Render(f))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestGolden(t *testing.T) {
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			got, golden := render(t, read(t, dir)), filepath.Join(dir, "out.yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("differs from %s (- want, + got); `make golden` rewrites it:\n%s", golden, diff)
			}
		})
	}
}
