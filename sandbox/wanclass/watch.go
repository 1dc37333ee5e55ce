// SPDX-License-Identifier: Apache-2.0

package wanclass

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// lookAgain is how often a cluster without the kind WANPolicy, or without an API server that answers, is asked again.
const lookAgain = time.Second

func wanPolicies() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "mcw.l7mp.io", Version: "v1alpha1", Resource: "wanpolicies"}
}

// Watcher follows the WANPolicies of several clusters.
type Watcher struct {
	log *slog.Logger
	// changed has an element when something changed since it was last emptied.
	changed chan struct{}

	mu       sync.Mutex
	policies map[string]map[string]Policy // by cluster and name
}

// NewWatcher makes a watcher of no cluster. The policies that were known when an earlier one ended stand until the
// cluster they are of has been read.
func NewWatcher(known []Policy, log *slog.Logger) *Watcher {
	w := &Watcher{log: log, changed: make(chan struct{}, 1), policies: map[string]map[string]Policy{}}
	for _, p := range known {
		w.change(p.Cluster, func(of map[string]Policy) { of[p.Name] = p })
	}
	return w
}

// Changed receives after every change; several changes may be one.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Policies returns the policies seen so far. A cluster that cannot be read keeps those that were seen last.
func (w *Watcher) Policies() []Policy {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Policy
	for _, of := range w.policies {
		all = slices.AppendSeq(all, maps.Values(of))
	}
	return all
}

// Follow watches one cluster until ctx ends.
func (w *Watcher) Follow(ctx context.Context, cluster string, client dynamic.Interface) {
	if !w.waitForKind(ctx, cluster, client) {
		return
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	informer := factory.ForResource(wanPolicies()).Informer()
	set := func(o any) { w.set(cluster, o) }
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    set,
		UpdateFunc: func(_, o any) { set(o) },
		DeleteFunc: func(o any) { w.unset(cluster, o) },
	})
	if err != nil { // only of an informer that was stopped
		w.log.Error("WAN policies cannot be watched", "cluster", cluster, "error", err)
		return
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			w.forgetOthers(cluster, informer.GetStore().ListKeys())
		}
	}()
	informer.RunWithContext(ctx)
}

// waitForKind waits until the cluster serves WANPolicies: an informer that is refused backs off for longer than a
// person waits for an add-on that was just installed.
func (w *Watcher) waitForKind(ctx context.Context, cluster string, client dynamic.Interface) bool {
	err := wait.PollUntilContextCancel(ctx, lookAgain, true, func(ctx context.Context) (bool, error) {
		_, err := client.Resource(wanPolicies()).List(ctx, metav1.ListOptions{Limit: 1})
		if apierrors.IsNotFound(err) {
			w.forgetOthers(cluster, nil)
		} else if err != nil {
			w.log.Debug("WAN policies cannot be read yet", "cluster", cluster, "error", err)
		}
		return err == nil, nil
	})
	return err == nil
}

func (w *Watcher) set(cluster string, object any) {
	o, ok := object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	tunnel, _, err1 := unstructured.NestedString(o.Object, "spec", "tunnel")
	port, _, err2 := unstructured.NestedInt64(o.Object, "spec", "port")
	if err1 != nil || err2 != nil || port < 1 || port > 65535 {
		w.log.Warn("WAN policy is not understood", "cluster", cluster, "policy", o.GetName())
		w.unset(cluster, o)
		return
	}
	w.change(cluster, func(of map[string]Policy) {
		of[o.GetName()] = Policy{Cluster: cluster, Name: o.GetName(), Tunnel: tunnel, Port: uint16(port), Created: o.GetCreationTimestamp().Time}
	})
}

func (w *Watcher) unset(cluster string, object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if o, ok := object.(*unstructured.Unstructured); ok {
		w.change(cluster, func(of map[string]Policy) { delete(of, o.GetName()) })
	}
}

// forgetOthers drops what was known of a cluster but is not there any more.
func (w *Watcher) forgetOthers(cluster string, names []string) {
	w.mu.Lock()
	stale := maps.Clone(w.policies[cluster])
	w.mu.Unlock()
	for _, n := range names {
		delete(stale, n)
	}
	for n := range stale {
		w.change(cluster, func(of map[string]Policy) { delete(of, n) })
	}
}

func (w *Watcher) change(cluster string, f func(map[string]Policy)) {
	w.mu.Lock()
	if w.policies[cluster] == nil {
		w.policies[cluster] = map[string]Policy{}
	}
	f(w.policies[cluster])
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default: // a change is waiting already
	}
}
