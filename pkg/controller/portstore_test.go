// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// derived is the derived Service of secure/name with one service port, 80.
func derived(name string, plain, mtls int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace, Name: translate.DerivedServiceName("secure", name),
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy, v1alpha1.LabelPart: v1alpha1.PartLeg,
				v1alpha1.LabelServiceNamespace: "secure", v1alpha1.LabelServiceName: name,
			},
		},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
			{Name: "http", Port: 80, TargetPort: intstr.FromInt32(plain)},
			{Name: "mtls-80", Port: mtls, TargetPort: intstr.FromInt32(mtls)},
		}},
	}
}

func legKey(name string) ports.Key { return ports.Key{Namespace: "secure", Name: name, Port: 80} }

// take and give are what imports do to the table.
func take(name string) func(ports.Table) ports.Table {
	return func(t ports.Table) ports.Table {
		out, _, err := t.Allocate(legKey(name), 2, nil)
		if err != nil {
			return t
		}
		return out
	}
}

func give(name string) func(ports.Table) ports.Table {
	return func(t ports.Table) ports.Table { return t.Release(legKey(name)) }
}

// world is an API server whose next update of the table another controller comes before, if conflict is set.
type world struct {
	client.WithWatch
	conflict bool
	findings []string
}

func newWorld(t *testing.T, objs ...client.Object) (*world, *portStore) {
	t.Helper()
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	w.WithWatch = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objs...).WithInterceptorFuncs(interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			if w.conflict {
				w.conflict = false
				return apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, obj.GetName(), nil)
			}
			return c.Update(ctx, obj, opts...)
		},
	}).Build()
	store := newPortStore(w, w, func(f ports.Finding) { w.findings = append(w.findings, f.Message) })
	return w, store
}

func (w *world) update(t *testing.T, s *portStore, change func(ports.Table) ports.Table) {
	t.Helper()
	if err := s.Update(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

// An import is gone: first its derived Service, then its ports. Whatever makes the table be read again after that, the
// ports stay free, also while the Service is only on its way out.
func TestPortsOfAnImportThatIsGoneStayFree(t *testing.T) {
	leaving := derived("leaving", 10004, 10005)
	leaving.Finalizers = []string{"example.com/slow"}
	w, store := newWorld(t, derived("stays", 10000, 10001), derived("gone", 10002, 10003), leaving)
	for _, name := range []string{"stays", "gone", "leaving"} {
		w.update(t, store, take(name))
	}
	for _, name := range []string{"gone", "leaving"} {
		if err := w.Delete(t.Context(), derived(name, 0, 0)); err != nil {
			t.Fatal(err)
		}
		w.update(t, store, give(name))
	}
	w.findings, w.conflict = nil, true
	w.update(t, store, take("new"))
	if len(w.findings) > 0 {
		t.Errorf("a table that was right was repaired: %q", w.findings)
	}
	table := store.Table()
	if got := table.Keys(); !slices.Equal(got, []ports.Key{legKey("new"), legKey("stays")}) {
		t.Errorf("ports are held by %v", got)
	}
	if got := table.Get(legKey("stays")); !slices.Equal(got, []int32{10000, 10001}) {
		t.Errorf("the import that stays has %v", got)
	}
	if got := table.Get(legKey("new")); !slices.Equal(got, []int32{10006, 10007}) {
		t.Errorf("the new import has %v, which somebody else had just now", got)
	}
}

// Another controller that also believes to lead has written the table: what it gave out is not given out twice.
func TestPortsThatAnotherControllerGaveOutAreTaken(t *testing.T) {
	w, one := newWorld(t)
	two := newPortStore(w, w, one.report)
	w.update(t, one, take("a"))
	w.update(t, two, take("b"))
	w.update(t, one, take("c"))
	w.update(t, two, take("d"))
	seen := map[int32]ports.Key{}
	for _, k := range two.Table().Keys() {
		for _, p := range two.Table().Get(k) {
			if other, taken := seen[p]; taken {
				t.Errorf("port %d is of %s and of %s", p, other, k)
			}
			seen[p] = k
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d ports are in use, want 8", len(seen))
	}
}

func TestTableThatWasLostIsMadeFromServices(t *testing.T) {
	w, store := newWorld(t, derived("a", 12000, 12001))
	held, err := store.Holders(t.Context())
	if err != nil || !slices.Equal(held, []types.NamespacedName{{Namespace: "secure", Name: "a"}}) {
		t.Errorf("ports are held by %v: %v", held, err)
	}
	if got := store.Table().Get(legKey("a")); !slices.Equal(got, []int32{12000, 12001}) {
		t.Errorf("the import has %v", got)
	}
	if len(w.findings) != 1 {
		t.Errorf("told of it: %q", w.findings)
	}
}
