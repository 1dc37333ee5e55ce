// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// keysFunc says which keys an object concerns. It is asked about both the old and the new object of an update.
type keysFunc[T client.Object] func(ctx context.Context, obj T) []types.NamespacedName

// watch makes events about a kind ask for keys.
func watch[T client.Object](c cache.Cache, obj T, keys keysFunc[T], predicates ...predicate.TypedPredicate[T]) source.Source {
	return watchLater(c, obj, 0, keys, predicates...)
}

// watchLater is watch with a pause in which events are collected.
func watchLater[T client.Object](c cache.Cache, obj T, pause time.Duration, keys keysFunc[T], predicates ...predicate.TypedPredicate[T]) source.Source {
	add := func(ctx context.Context, q queue, objs ...T) {
		asked := map[types.NamespacedName]bool{}
		for _, o := range objs {
			for _, key := range keys(ctx, o) {
				if !asked[key] {
					asked[key] = true
					q.AddAfter(reconcile.Request{NamespacedName: key}, pause)
				}
			}
		}
	}
	return source.TypedKind(c, obj, handler.TypedFuncs[T, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[T], q queue) { add(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[T], q queue) { add(ctx, q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[T], q queue) { add(ctx, q, e.Object) },
	}, predicates...)
}

// changed lets updates pass in which differ says that something of interest changed.
func changed[T client.Object](differ func(before, after T) bool) predicate.TypedPredicate[T] {
	return predicate.TypedFuncs[T]{
		UpdateFunc: func(e event.TypedUpdateEvent[T]) bool { return differ(e.ObjectOld, e.ObjectNew) },
	}
}

// declared lets updates pass that change what somebody states: spec, labels, annotations, or that it is going away. A
// status that was written does not.
func declared[T client.Object]() predicate.TypedPredicate[T] { return changed(statementChanged[T]) }

func statementChanged[T client.Object](before, after T) bool {
	return before.GetGeneration() != after.GetGeneration() ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations()) ||
		!maps.Equal(before.GetLabels(), after.GetLabels()) ||
		(before.GetDeletionTimestamp() == nil) != (after.GetDeletionTimestamp() == nil)
}

// peerChanged lets pass what imports depend on: what a Peer declares, and whether its exports are withdrawn.
func peerChanged(before, after *v1alpha1.Peer) bool {
	lost := func(p *v1alpha1.Peer) bool {
		return meta.IsStatusConditionFalse(p.Status.Conditions, v1alpha1.ConditionReachable)
	}
	return statementChanged(before, after) || lost(before) != lost(after)
}

// drifts lets events about what we wrote pass, except the echo of our own changes. The echo of a creation passes: until
// it comes the cache does not know the object, so whoever wanted to look at it, or to remove it, could not.
func (c *core) drifts() predicate.TypedPredicate[client.Object] {
	return predicate.TypedFuncs[client.Object]{
		UpdateFunc: func(e event.TypedUpdateEvent[client.Object]) bool { return !c.applier.Wrote(e.ObjectNew) },
	}
}

// watchWritten asks for the keys for which objects of a kind were written when they drift.
func (c *core) watchWritten(cc cache.Cache, obj client.Object, part string) source.Source {
	return watch(cc, obj, func(_ context.Context, o client.Object) []types.NamespacedName {
		if key, ok := keyOf(ownerOf(o), part); ok {
			return one(key)
		}
		return c.inTheWayOf(part, o)
	}, c.drifts())
}

// serviceChanged: a Service has no generation that tells its spec from its status.
func serviceChanged(before, after *corev1.Service) bool {
	return !reflect.DeepEqual(before.Spec, after.Spec) || before.UID != after.UID
}

func slicesChanged(before, after *discoveryv1.EndpointSlice) bool {
	return !reflect.DeepEqual(before.Endpoints, after.Endpoints) || !reflect.DeepEqual(before.Ports, after.Ports) ||
		!maps.Equal(before.Labels, after.Labels)
}

func specChanged(before, after *v1alpha1.ClusterAdvertisement) bool {
	return !reflect.DeepEqual(before.Spec, after.Spec) || !maps.Equal(before.Labels, after.Labels)
}

// offersChanged: what imports are told depends on where their exporters are and on which policies they are on offer.
func offersChanged(before, after *v1alpha1.ClusterAdvertisement) bool {
	return !slices.Equal(before.Spec.Policies, after.Spec.Policies) || !slices.Equal(before.Spec.Addresses, after.Spec.Addresses) ||
		before.Spec.Identities != after.Spec.Identities || !maps.Equal(before.Labels, after.Labels)
}

func labelsChanged(before, after *corev1.Service) bool {
	return !maps.Equal(before.Labels, after.Labels)
}

// policyChanged: what an export is told depends on the policy and on whether it is ready.
func policyChanged(before, after *v1alpha1.WANPolicy) bool {
	ready := func(p *v1alpha1.WANPolicy) string {
		if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			return string(c.Status) + c.Reason
		}
		return ""
	}
	return before.Generation != after.Generation || before.UID != after.UID || ready(before) != ready(after)
}

func namespaceChanged(before, after *corev1.Namespace) bool {
	return namespaceStands(before) != namespaceStands(after)
}

func one(key types.NamespacedName) []types.NamespacedName { return []types.NamespacedName{key} }
