// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/l7mp/mc-wan/pkg/apply"
)

const (
	label = "example.org/managed-by"
	value = "us"
)

// world is one API server, the writes that reached it, and Appliers over it.
type world struct {
	t      *testing.T
	client client.WithWatch
	scheme *runtime.Scheme
	now    time.Time
	writes int
}

func newWorld(t *testing.T, objs ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, scheme: scheme, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objs...).
		WithReturnManagedFields().WithInterceptorFuncs(interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			w.writes++
			return c.Apply(ctx, obj, opts...)
		},
	}).Build()
	return w
}

// applier is as a freshly started process has it: it remembers nothing.
func (w *world) applier() *apply.Applier {
	return apply.New(apply.Options{Client: w.client, Cache: w.client, Scheme: w.scheme, Label: label, Value: value, Now: func() time.Time { return w.now }})
}

func (w *world) service(name string) *corev1.Service {
	w.t.Helper()
	svc := &corev1.Service{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "ns", Name: name}, svc); err != nil {
		w.t.Fatal(err)
	}
	return svc
}

func service(name string, ports ...int32) *corev1.Service {
	svc := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name,
			Labels:      map[string]string{label: value},
			Annotations: map[string]string{"a": "1", "b": "2"},
		},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": name}},
	}
	for _, port := range ports {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{
			Name: fmt.Sprintf("p%d", port), Protocol: corev1.ProtocolTCP, Port: port, TargetPort: intstr.FromInt32(port),
		})
	}
	return svc
}

func (w *world) apply(a *apply.Applier, want apply.Action, obj client.Object) {
	w.t.Helper()
	changes, err := a.Apply(w.t.Context(), obj)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := changes[0].Action; got != want {
		w.t.Fatalf("%s was %s, want %s", changes[0].Ref, got, want)
	}
}

func TestNothingIsWrittenTwice(t *testing.T) {
	w := newWorld(t)
	a := w.applier()
	w.apply(a, apply.Created, service("x", 80, 81))
	w.apply(a, apply.Unchanged, service("x", 80, 81))
	w.apply(w.applier(), apply.Unchanged, service("x", 80, 81)) // after a restart
	if w.writes != 1 {
		t.Errorf("%d writes, want 1", w.writes)
	}
}

func TestRestartTakesBackWhatIsNoLongerStated(t *testing.T) {
	for name, change := range map[string]func(*corev1.Service){
		"annotation": func(s *corev1.Service) { delete(s.Annotations, "b") },
		"list entry": func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[:1] },
		"map":        func(s *corev1.Service) { s.Spec.Selector = nil },
		"value":      func(s *corev1.Service) { s.Spec.Ports[1].Port = 82 },
		"new field":  func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.apply(w.applier(), apply.Created, service("x", 80, 81))
			want := service("x", 80, 81)
			change(want)
			w.apply(w.applier(), apply.Configured, want)
			w.apply(w.applier(), apply.Unchanged, want)
			live := w.service("x")
			if len(live.Annotations) != len(want.Annotations) || len(live.Spec.Ports) != len(want.Spec.Ports) || len(live.Spec.Selector) != len(want.Spec.Selector) {
				t.Errorf("live object still has what was taken back: %v", live)
			}
		})
	}
}

func TestDriftIsRepairedAndOthersFieldsStay(t *testing.T) {
	w := newWorld(t)
	a := w.applier()
	w.apply(a, apply.Created, service("x", 80))
	live := w.service("x")
	live.Annotations["other"] = "theirs"
	live.Spec.Selector["app"] = "hijacked"
	if err := w.client.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	w.apply(a, apply.Configured, service("x", 80))
	w.apply(a, apply.Unchanged, service("x", 80))
	got := w.service("x")
	if got.Spec.Selector["app"] != "x" || got.Annotations["other"] != "theirs" {
		t.Errorf("selector %v, annotations %v", got.Spec.Selector, got.Annotations)
	}
}

func TestForeignObjectIsLeftAlone(t *testing.T) {
	foreign := service("x", 9)
	foreign.Labels = nil
	w := newWorld(t, foreign)
	_, err := w.applier().Apply(t.Context(), service("x", 80))
	if found, ok := apply.IsForeign(err); !ok || found.Ref.Name != "x" {
		t.Fatalf("error %v, want a ForeignError", err)
	}
	if got := w.service("x"); w.writes != 0 || got.Spec.Ports[0].Port != 9 {
		t.Errorf("%d writes, ports %v", w.writes, got.Spec.Ports)
	}
}

// noCache is a cache that has seen nothing yet.
type noCache struct{ client.Reader }

func (noCache) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func TestForeignObjectThatTheCacheHasNotSeenIsLeftAlone(t *testing.T) {
	foreign := service("x", 80)
	foreign.Labels, foreign.Spec.Selector = nil, map[string]string{"app": "theirs"}
	w := newWorld(t)
	if err := w.client.Create(t.Context(), foreign, client.FieldOwner("them")); err != nil {
		t.Fatal(err)
	}
	a := apply.New(apply.Options{Client: w.client, Cache: noCache{w.client}, Scheme: w.scheme, Label: label, Value: value})
	_, err := a.Apply(t.Context(), service("x", 80))
	if _, ok := apply.IsForeign(err); !ok {
		t.Fatalf("error %v, want a ForeignError", err)
	}
	if got := w.service("x"); got.Spec.Selector["app"] != "theirs" || got.Labels[label] != "" {
		t.Errorf("selector %v, labels %v", got.Spec.Selector, got.Labels)
	}
}

func TestContributeOwnsItsFieldsOnly(t *testing.T) {
	theirs := service("gw", 15021)
	theirs.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"}
	w := newWorld(t)
	if err := w.client.Create(t.Context(), theirs, client.FieldOwner("helm")); err != nil {
		t.Fatal(err)
	}
	ports := func(numbers ...int32) *corev1.Service {
		svc := service("gw", numbers...)
		svc.Spec.Selector = nil
		return svc
	}
	contribute := func(want apply.Action, obj *corev1.Service) {
		t.Helper()
		change, err := w.applier().Contribute(t.Context(), obj)
		if err != nil || change.Action != want {
			t.Fatalf("%s, %v, want %s", change.Action, err, want)
		}
	}
	contribute(apply.Configured, ports(31111, 31112))
	contribute(apply.Unchanged, ports(31111, 31112))
	contribute(apply.Configured, ports(31112))
	got := w.service("gw")
	if len(got.Spec.Ports) != 2 || got.Labels[label] != "" || got.Spec.Selector["app"] != "gw" {
		t.Errorf("ports %v, labels %v, selector %v", got.Spec.Ports, got.Labels, got.Spec.Selector)
	}
	missing := ports(1)
	missing.Name = "missing"
	contribute(apply.Skipped, missing)
}

func TestPruneDeletesOnlyOurs(t *testing.T) {
	foreign := service("foreign", 80)
	foreign.Labels = nil
	w := newWorld(t, foreign)
	a := w.applier()
	w.apply(a, apply.Created, service("keep", 80))
	w.apply(a, apply.Created, service("drop", 80))
	changes, err := a.Prune(t.Context(), []schema.GroupVersionKind{corev1.SchemeGroupVersion.WithKind("Service")},
		[]apply.Ref{apply.RefOf(service("keep"))}, client.InNamespace("ns"))
	if err != nil || changes.String() != "Service ns/drop deleted" {
		t.Fatalf("changes %v, %v", changes, err)
	}
	w.service("keep")
	w.service("foreign")
	w.apply(a, apply.Created, service("drop", 80))
}

func TestStatusOfAGoneObjectIsSkipped(t *testing.T) {
	w := newWorld(t)
	change, err := w.applier().ApplyStatus(t.Context(), apply.FieldManager, service("x", 80))
	if err != nil || change.Action != apply.Skipped {
		t.Errorf("%s, %v", change.Action, err)
	}
}

func TestTerminatingNamespaceIsQuiet(t *testing.T) {
	w := newWorld(t)
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "x", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	refusing := interceptor.NewClient(w.client, interceptor.Funcs{
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			return terminating
		},
	})
	a := apply.New(apply.Options{Client: refusing, Cache: refusing, Scheme: w.scheme, Label: label, Value: value})
	w.apply(a, apply.Skipped, service("x", 80))
}

// behind is an Applier whose cache shows an object as it was.
func (w *world) behind(was *corev1.Service) *apply.Applier {
	stale := interceptor.NewClient(w.client, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
			was.DeepCopyInto(obj.(*corev1.Service))
			return nil
		},
	})
	return apply.New(apply.Options{Client: w.client, Cache: stale, Scheme: w.scheme, Label: label, Value: value, Now: func() time.Time { return w.now }})
}

func TestStaleCacheDoesNotCauseASecondWrite(t *testing.T) {
	w := newWorld(t)
	w.apply(w.applier(), apply.Created, service("x", 80))
	before := w.service("x")
	a := w.behind(before)
	w.apply(a, apply.Configured, service("x", 81))
	w.apply(a, apply.Unchanged, service("x", 81))
	if w.writes != 2 {
		t.Errorf("%d writes, want 2", w.writes)
	}
}

func TestStaleCacheDoesNotHideAChangeBack(t *testing.T) {
	w := newWorld(t)
	w.apply(w.applier(), apply.Created, service("x", 80))
	before := w.service("x")
	a := w.behind(before)
	w.apply(a, apply.Configured, service("x", 81))
	w.apply(a, apply.Configured, service("x", 80))
	if port := w.service("x").Spec.Ports[0].Port; port != 80 {
		t.Errorf("port %d stands, want 80", port)
	}
}

func TestDeletedIsMadeAnewBeforeTheCacheHasSeenItsEnd(t *testing.T) {
	w := newWorld(t)
	old := service("x", 80)
	old.UID = "old" // which the fake API server does not give
	if err := w.client.Create(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	old.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	a := w.behind(old)
	w.apply(a, apply.Configured, service("x", 80))
	w.apply(a, apply.Unchanged, service("x", 80))
	if change, err := a.Delete(t.Context(), old.DeepCopy()); err != nil || change.Action != apply.Deleted {
		t.Fatalf("%v, %v", change, err)
	}
	w.apply(a, apply.Created, service("x", 80))
	w.service("x")
}
