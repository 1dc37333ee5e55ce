// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldManager is the name under which mc-wan owns fields.
const FieldManager = "mc-wan"

const statusSubresource = "status"

// Options configure an Applier.
type Options struct {
	// Client writes.
	Client client.Client
	// Cache is the informer cache that drift is judged by.
	Cache client.Reader
	// Scheme knows every kind that is written.
	Scheme *runtime.Scheme
	// Label and Value are on everything that is ours; an object without them is never changed or deleted.
	Label, Value string
	// Trim takes out of a configuration what the API server's schema lacks; nil stands for nothing.
	Trim func(content map[string]any)
	// Now tells the time of a condition's transition; nil stands for time.Now.
	Now func() time.Time
}

// Applier writes objects. It may be used from several goroutines; calls for one object must not overlap.
type Applier struct {
	Options
	records *records
}

// New returns an Applier.
func New(o Options) *Applier {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Trim == nil {
		o.Trim = func(map[string]any) {}
	}
	return &Applier{Options: o, records: newRecords()}
}

// ForeignError says that an object of that name exists which is not ours. Nothing was written.
type ForeignError struct {
	Ref Ref
}

// Error names the object and the way out.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s exists and was not made by mc-wan; delete or rename it", e.Ref)
}

// IsForeign returns the ForeignError in err.
func IsForeign(err error) (*ForeignError, bool) {
	var foreign *ForeignError
	ok := errors.As(err, &foreign)
	return foreign, ok
}

// Apply writes objs in their order, each only where it has drifted, and stops at the first error. An object that exists
// without our label is left alone and gives a ForeignError. A namespace that is going away is not an error.
func (a *Applier) Apply(ctx context.Context, objs ...client.Object) (ChangeSet, error) {
	var changes ChangeSet
	for _, obj := range objs {
		want, err := configuration(obj)
		if err != nil {
			return changes, err
		}
		a.Trim(want)
		change, err := a.apply(ctx, obj, want)
		if err != nil {
			return changes, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// Contribute writes fields into an object that belongs to someone else and must exist: its labels are not ours to set,
// and fields that obj no longer states are taken back.
func (a *Applier) Contribute(ctx context.Context, obj client.Object) (Change, error) {
	want, err := configuration(obj)
	if err != nil {
		return Change{}, err
	}
	want["metadata"] = nameOf(obj)
	live, err := a.live(ctx, obj)
	if err != nil {
		return Change{}, err
	}
	if live == nil {
		return Change{Ref: RefOf(obj), Action: Skipped}, nil
	}
	return a.writeDrift(ctx, key{Ref: RefOf(obj)}, live, want, a.write)
}

// ApplyStatus writes the status of obj under manager, which owns exactly the conditions and fields that it states; two
// managers may each own some conditions of one object. The time of a condition changes only with its status. The
// generation of obj goes into conditions that do not say which one they are about. An object that is gone is skipped.
func (a *Applier) ApplyStatus(ctx context.Context, manager string, obj client.Object) (Change, error) {
	want, err := statusConfiguration(obj)
	if err != nil {
		return Change{}, err
	}
	a.Trim(want)
	live, err := a.live(ctx, obj)
	if err != nil {
		return Change{}, err
	}
	ref := RefOf(obj)
	if live == nil {
		return Change{Ref: ref, Action: Skipped}, nil
	}
	content, err := toMap(live)
	if err != nil {
		return Change{}, err
	}
	transitions := stabilize(want, content, obj.GetGeneration(), a.Now())
	change, err := a.writeDrift(ctx, key{Ref: ref, Manager: manager, Subresource: statusSubresource}, live, want, a.writeStatus)
	if apierrors.IsNotFound(err) {
		return Change{Ref: ref, Action: Skipped}, nil
	}
	if change.Action == Configured {
		change.Transitions = transitions
	}
	return change, err
}

// apply is Apply for one object.
func (a *Applier) apply(ctx context.Context, obj client.Object, want map[string]any) (Change, error) {
	ref := RefOf(obj)
	live, err := a.live(ctx, obj)
	if err != nil {
		return Change{}, err
	}
	if live == nil {
		return a.create(ctx, ref, want)
	}
	if !Ours(live, a.Label, a.Value) {
		return Change{}, &ForeignError{Ref: ref}
	}
	return a.writeDrift(ctx, key{Ref: ref}, live, want, a.write)
}

// create writes an object that the cache does not have, without force: where one has appeared meanwhile, a field that
// someone else set otherwise is a conflict, and the object is looked at before anything is done to it.
func (a *Applier) create(ctx context.Context, ref Ref, want map[string]any) (Change, error) {
	result, err := a.write(ctx, key{Ref: ref}, want, false)
	switch {
	case isNamespaceGone(err):
		return Change{Ref: ref, Action: Skipped}, nil
	case apierrors.IsConflict(err):
		return Change{}, a.judgeConflict(ctx, ref, err)
	case err != nil:
		return Change{}, fmt.Errorf("creating %s: %w", ref.Kind, err)
	}
	return Change{Ref: ref, Action: Created, Result: result}, a.remember(key{Ref: ref}, "", want, result)
}

// judgeConflict tells a foreign object from one of ours that the cache has not seen yet.
func (a *Applier) judgeConflict(ctx context.Context, ref Ref, conflict error) error {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(ref.GroupVersionKind)
	if err := a.Client.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, found); err != nil {
		return errors.Join(conflict, client.IgnoreNotFound(err))
	}
	if !Ours(found, a.Label, a.Value) {
		return &ForeignError{Ref: ref}
	}
	return fmt.Errorf("creating %s that the cache has not seen yet: %w", ref.Kind, conflict)
}

// writeFunc sends one configuration.
type writeFunc func(ctx context.Context, k key, want map[string]any, force bool) (*unstructured.Unstructured, error)

// writeDrift writes want where it differs from live.
func (a *Applier) writeDrift(ctx context.Context, k key, live client.Object, want map[string]any, write writeFunc) (Change, error) {
	sum, err := digest(want)
	if err != nil {
		return Change{}, err
	}
	unchanged := Change{Ref: k.Ref, Action: Unchanged}
	if a.records.current(k, live, sum) {
		return unchanged, nil
	}
	content, err := toMap(live)
	if err != nil {
		return Change{}, err
	}
	if !a.records.behind(k, live, sum) && !drifted(content, want, live.GetManagedFields(), k.manager(), k.Subresource) {
		a.records.set(k, record{uid: live.GetUID(), after: live.GetResourceVersion(), sum: sum})
		return unchanged, nil
	}
	result, err := write(ctx, k, want, true)
	if isNamespaceGone(err) {
		return Change{Ref: k.Ref, Action: Skipped}, nil
	}
	if err != nil {
		return Change{}, fmt.Errorf("applying %s: %w", k.Kind, err)
	}
	if result.GetResourceVersion() == live.GetResourceVersion() {
		return unchanged, a.remember(k, "", want, result)
	}
	return Change{Ref: k.Ref, Action: Configured, Result: result}, a.remember(k, live.GetResourceVersion(), want, result)
}

func (a *Applier) write(ctx context.Context, k key, want map[string]any, force bool) (*unstructured.Unstructured, error) {
	sent := copyOf(want)
	opts := []client.ApplyOption{client.FieldOwner(k.manager())}
	if force {
		opts = append(opts, client.ForceOwnership)
	}
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(sent), opts...); err != nil {
		return nil, err
	}
	return sent, nil
}

func (a *Applier) writeStatus(ctx context.Context, k key, want map[string]any, _ bool) (*unstructured.Unstructured, error) {
	sent := copyOf(want)
	err := a.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(sent), client.FieldOwner(k.manager()), client.ForceOwnership)
	if err != nil {
		return nil, err
	}
	return sent, nil
}

func (a *Applier) remember(k key, before string, want map[string]any, result *unstructured.Unstructured) error {
	sum, err := digest(want)
	if err != nil {
		return err
	}
	a.records.set(k, record{uid: result.GetUID(), before: before, after: result.GetResourceVersion(), sum: sum})
	return nil
}

// live returns the object of that name in the cache, nil where there is none. What was deleted here is gone, although the
// cache may not have seen it yet: what is wanted again must be made again, not left to the news of its end.
func (a *Applier) live(ctx context.Context, obj client.Object) (client.Object, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	empty, err := a.Scheme.New(gvk)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", gvk.Kind, err)
	}
	live, ok := empty.(client.Object)
	if !ok {
		return nil, fmt.Errorf("looking up %s: %T is not an object", gvk.Kind, empty)
	}
	err = a.Cache.Get(ctx, client.ObjectKeyFromObject(obj), live)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case meta.IsNoMatchError(err):
		return nil, fmt.Errorf("kind %s is not installed: %w", gvk.Kind, err)
	case err != nil:
		return nil, fmt.Errorf("looking up %s: %w", gvk.Kind, err)
	case a.records.buried(RefOf(obj), live):
		return nil, nil
	}
	return live, nil
}

// isNamespaceGone tells whether a write failed because its namespace is terminating or has gone.
func isNamespaceGone(err error) bool {
	if err == nil {
		return false
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return true
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Reason != metav1.StatusReasonNotFound {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Kind == "namespaces"
}
