// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Render is everything that the controller would write for what the files hold, in a fixed order: the fleet's objects,
// own advertisements with their ingress side, imports with their legs, paths. Exports in the files become
// advertisements; namespaces that no peer may import into, and those that are not there, have no imports.
//
// Client-side objects need the ClusterSetIP: it is that of the derived Service, or of the ServiceImport, in the files.
// Without either they are left out, as they would be until the API server has given the address.
func Render(f *Files) []translate.Object {
	f = f.Advertised()
	fleet := translate.Fleet(FleetInput(f))
	out, paths := fleet.Objects, fleet.Paths
	for _, k := range f.serviceNames() {
		if own := ownAdvertisement(f, k); own != nil {
			out = append(out, own)
			if in, ok := ExportInput(f, k); ok {
				out = append(out, translate.Export(in)...)
			}
		}
	}
	for _, k := range f.serviceNames() {
		objects, used := f.renderImport(k)
		out, paths = append(out, objects...), append(paths, used...)
	}
	return append(out, f.renderPaths(paths)...)
}

func (f *Files) renderImport(k types.NamespacedName) ([]translate.Object, []translate.PathKey) {
	merged := Merged(f, k)
	if !merged.Exported() || f.Namespace(k.Namespace) == nil {
		return nil, nil
	}
	f.table, _ = LegPorts(f.table, merged, k)
	f.table = DummyPorts(f.table, merged, k, Dummies(f, k, merged))
	f.table = EndpointPorts(f.table, merged, Exports(f, k), k)
	leg := translate.Leg(ImportInput(f, k))
	f.keepNames(leg.DummyObjects)
	var out []translate.Object
	if leg.Service != nil {
		out = append(out, leg.Service)
	}
	for _, e := range leg.EndpointServices {
		out = append(out, e.Service)
	}
	return append(append(append(out, leg.Objects...), leg.Import), leg.DummyObjects...), leg.Paths
}

// keepNames makes the names of dummy Services taken for the imports that come later.
func (f *Files) keepNames(objects []translate.Object) {
	for _, o := range objects {
		if s, ok := o.(*corev1.Service); ok {
			f.services[key(s.Namespace, s.Name)] = *s
		}
	}
}

func (f *Files) renderPaths(keys []translate.PathKey) []translate.Object {
	slices.SortFunc(keys, func(a, b translate.PathKey) int { return cmp.Compare(translate.PathName(a), translate.PathName(b)) })
	var out []translate.Object
	for _, k := range slices.Compact(keys) {
		out = append(out, translate.Path(PathInput(f, k))...)
	}
	return out
}

// serviceNames are the services that somebody advertises, sorted.
func (f *Files) serviceNames() []types.NamespacedName {
	var out []types.NamespacedName
	for k := range f.advertisements {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Advertised is f with the advertisements of its exports in place of its own ones. f is not changed.
func (f *Files) Advertised() *Files {
	out := *f
	out.services = maps.Clone(f.services)
	out.advertisements = map[types.NamespacedName][]v1alpha1.ServiceAdvertisement{}
	for k, all := range f.advertisements {
		for _, a := range all {
			if _, exported := f.exports[k]; a.Spec.ClusterID != f.self.ID || !exported {
				out.advertisements[k] = append(out.advertisements[k], a)
			}
		}
	}
	for k := range f.exports {
		if result := advertise.Advertise(AdvertiseInput(f, k)); result.Advertisement != nil {
			own := translate.Advertisement(f.self, *result.Advertisement)
			out.advertisements[k] = append(out.advertisements[k], *own)
		}
	}
	return &out
}

// Marshal writes objects as YAML documents, without what the API server fills in.
func Marshal(objects []translate.Object) ([]byte, error) {
	var out bytes.Buffer
	for i, o := range objects {
		if i > 0 {
			out.WriteString("---\n")
		}
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
		}
		clean(fields)
		// Not sigs.k8s.io/yaml, which writes JSON and parses that first: the fields are plain values already.
		text, err := yaml.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

// clean removes what an empty field of a Go type leaves behind.
func clean(fields map[string]any) {
	if m, ok := fields["metadata"].(map[string]any); ok && m["creationTimestamp"] == nil {
		delete(m, "creationTimestamp")
	}
	for _, name := range []string{"status", "spec"} {
		if m, ok := fields[name].(map[string]any); ok {
			if lb, ok := m["loadBalancer"].(map[string]any); ok && len(lb) == 0 {
				delete(m, "loadBalancer")
			}
			if len(m) == 0 {
				delete(fields, name)
			}
		}
	}
}
