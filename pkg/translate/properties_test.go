// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// The same knowledge gives the same bytes: in whatever order it comes, and however often one looks. Looking changes nothing.
func TestRenderIsAFunction(t *testing.T) {
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			f, untouched := read(t, dir), read(t, dir)
			want := render(t, f)
			if got := render(t, f); got != want {
				t.Error("a second look gives something else")
			}
			if !reflect.DeepEqual(f, untouched) {
				t.Error("the input was changed")
			}
			data, err := os.ReadFile(filepath.Join(dir, "in.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			documents := strings.Split(string(data), "\n---\n")
			rng := rand.New(rand.NewSource(1))
			for range 5 {
				rng.Shuffle(len(documents), func(i, j int) { documents[i], documents[j] = documents[j], documents[i] })
				if got := render(t, parse(t, options(dir), strings.Join(documents, "\n---\n"))); got != want {
					t.Fatal("the order of the input matters")
				}
			}
		})
	}
}

func parse(t testing.TB, o snapshot.Options, text string) *snapshot.Files {
	t.Helper()
	f, err := snapshot.Read(o, snapshot.File{Name: "in.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// FuzzRender: whatever the input, it is refused or rendered, always to the same bytes. Its seeds are the goldens.
func FuzzRender(f *testing.F) {
	for _, dir := range cases(f) {
		data, err := os.ReadFile(filepath.Join(dir, "in.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		files, err := snapshot.Read(snapshot.Options{ClusterID: ownCluster}, snapshot.File{Name: "in.yaml", Data: []byte(text)})
		if err != nil {
			return
		}
		if first := render(t, files); render(t, files) != first {
			t.Error("a second look gives something else")
		}
	})
}
