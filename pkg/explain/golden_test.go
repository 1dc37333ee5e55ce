// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// written is an object of a golden.
type written struct {
	APIVersion string
	Kind       string
	Metadata   struct{ Namespace, Name string }
	Spec       struct {
		Ports []struct {
			Port     int32
			Protocol string
		}
		HTTP []struct{ Route []destination }
		TCP  []struct{ Route []destination }
	}
}

type destination struct {
	Destination struct{ Host string }
	Weight      float64
}

func (w written) String() string {
	kind := w.Kind
	if group, _, grouped := strings.Cut(w.APIVersion, "/"); grouped {
		kind += "." + group
	}
	return fmt.Sprintf("%s %s/%s", kind, w.Metadata.Namespace, w.Metadata.Name)
}

// Of every import of package translate's goldens: the objects that carry it are there, and lead where it is said.
func TestWhatIsNamedIsThere(t *testing.T) {
	files, err := filepath.Glob("../translate/testdata/*/out.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			in, out := read(t, filepath.Join(filepath.Dir(file), "in.yaml")), string(read(t, file))
			state, err := snapshot.Read(snapshot.Options{ClusterID: "cluster-1", DummyServices: true}, snapshot.File{Name: "in.yaml", Data: in})
			if err != nil {
				t.Fatal(err)
			}
			state = state.Advertised()
			objects := map[string]written{}
			for _, text := range strings.Split(out, "\n---\n") {
				var w written
				if err := yaml.Unmarshal([]byte(text), &w); err != nil {
					t.Fatal(err)
				}
				objects[w.String()] = w
			}
			for _, name := range slices.Sorted(maps.Keys(objects)) {
				if w := objects[name]; w.Kind == "ServiceImport" {
					compareWith(t, state, objects, w)
				}
			}
		})
	}
}

func compareWith(t *testing.T, state *snapshot.Files, objects map[string]written, service written) {
	t.Helper()
	for _, p := range service.Spec.Ports {
		if p.Protocol == "UDP" {
			continue
		}
		a, err := Explain(state, Mesh{}, Question{Service: service.Metadata.Name + "/" + service.Metadata.Namespace, Port: p.Port})
		if err != nil {
			t.Error(err)
			continue
		}
		var routes []string
		for _, name := range a.Objects {
			o, there := objects[name]
			if !there {
				t.Errorf("%s, port %d: there is no %s", a.Service, p.Port, name)
			}
			routes = append(routes, o.leads()...)
		}
		var said []string
		for _, r := range a.Routes {
			if r.Path != "" {
				said = append(said, r.Path)
			}
		}
		slices.Sort(routes)
		slices.Sort(said)
		if a.Rules == "" && a.Verdict == Forwarded && !slices.Equal(slices.Compact(routes), slices.Compact(said)) {
			t.Errorf("%s, port %d: routes lead to %v, it is said %v", a.Service, p.Port, routes, said)
		}
	}
}

// leads are the hosts that a VirtualService leads to.
func (w written) leads() []string {
	var out []string
	for _, h := range w.Spec.HTTP {
		for _, d := range h.Route {
			out = append(out, d.Destination.Host)
		}
	}
	for _, h := range w.Spec.TCP {
		for _, d := range h.Route {
			out = append(out, d.Destination.Host)
		}
	}
	return out
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
