// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Prune deletes what the cache holds of kinds, selected by opts, that is ours and not in keep. Kinds are gone through
// in the order given: state them in the reverse of the order in which they are applied. What could not be deleted is
// found again by the next call, because nothing but the cluster says what exists.
func (a *Applier) Prune(ctx context.Context, kinds []schema.GroupVersionKind, keep []Ref, opts ...client.ListOption) (ChangeSet, error) {
	kept := make(map[Ref]bool, len(keep))
	for _, ref := range keep {
		kept[ref] = true
	}
	found, err := a.Owned(ctx, kinds, opts...)
	if err != nil {
		return nil, err
	}
	var changes ChangeSet
	for _, obj := range found {
		if kept[RefOf(obj)] {
			continue
		}
		change, err := a.Delete(ctx, obj)
		if err != nil {
			return changes, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// Owned returns what the cache holds of kinds, selected by opts, that is ours.
func (a *Applier) Owned(ctx context.Context, kinds []schema.GroupVersionKind, opts ...client.ListOption) ([]client.Object, error) {
	var out []client.Object
	for _, gvk := range kinds {
		found, err := a.list(ctx, gvk, opts...)
		if err != nil {
			return nil, err
		}
		for _, obj := range found {
			if Ours(obj, a.Label, a.Value) {
				out = append(out, obj)
			}
		}
	}
	return out, nil
}

// Delete deletes exactly the object that obj was read as: one that has been made anew under the same name stays.
func (a *Applier) Delete(ctx context.Context, obj client.Object) (Change, error) {
	ref, uid := RefOf(obj), obj.GetUID()
	change := Change{Ref: ref, Action: Skipped}
	if obj.GetDeletionTimestamp() != nil {
		return change, nil
	}
	err := a.Client.Delete(ctx, obj, client.Preconditions{UID: &uid})
	// The cache may still show what was deleted here and has been made anew here since: that is to be looked at again.
	again := apierrors.IsConflict(err) && a.records.buried(ref, obj)
	if err != nil && !apierrors.IsNotFound(err) && (again || !apierrors.IsConflict(err)) {
		return Change{}, fmt.Errorf("deleting %s: %w", ref.Kind, err)
	}
	a.records.bury(ref, uid, a.Now())
	if err == nil {
		change.Action = Deleted
	}
	return change, nil
}

// Wrote tells whether obj is exactly as our last write left it, so that an event about it is only its echo.
func (a *Applier) Wrote(obj client.Object) bool {
	gvk, err := a.Client.GroupVersionKindFor(obj)
	if err != nil {
		return false
	}
	ref := Ref{GroupVersionKind: gvk, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	return a.records.wrote(key{Ref: ref}, obj)
}

// list reads the objects of one kind from the cache, each with its TypeMeta.
func (a *Applier) list(ctx context.Context, gvk schema.GroupVersionKind, opts ...client.ListOption) ([]client.Object, error) {
	empty, err := a.Scheme.New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", gvk.Kind, err)
	}
	list, ok := empty.(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("listing %s: %T is not a list", gvk.Kind, empty)
	}
	if err := a.Cache.List(ctx, list, opts...); err != nil {
		return nil, fmt.Errorf("listing %s: %w", gvk.Kind, err)
	}
	var out []client.Object
	err = meta.EachListItem(list, func(item runtime.Object) error {
		obj, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("listing %s: %T is not an object", gvk.Kind, item)
		}
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		out = append(out, obj)
		return nil
	})
	return out, err
}
