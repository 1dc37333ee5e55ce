// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/pkg/apply"
)

// blocked knows which keys wait for an object that is not ours to go out of the way.
type blocked struct {
	mu      sync.Mutex
	waiting map[apply.Ref]map[string]types.NamespacedName
}

func newBlocked() *blocked {
	return &blocked{waiting: map[apply.Ref]map[string]types.NamespacedName{}}
}

// add notes that a key of a reconciler waits for an object.
func (b *blocked) add(ref apply.Ref, reconciler string, key types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting[ref] == nil {
		b.waiting[ref] = map[string]types.NamespacedName{}
	}
	b.waiting[ref][reconciler+"/"+key.String()] = key
}

// take returns the keys of a reconciler that wait for the object; they say again if they still do.
func (b *blocked) take(ref apply.Ref, reconciler string) []types.NamespacedName {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []types.NamespacedName
	for name, key := range b.waiting[ref] {
		if name == reconciler+"/"+key.String() {
			out = append(out, key)
			delete(b.waiting[ref], name)
		}
	}
	if len(b.waiting[ref]) == 0 {
		delete(b.waiting, ref)
	}
	return out
}

// inTheWayOf are the keys of a reconciler that wait for obj, about which there is an event.
func (c *core) inTheWayOf(reconciler string, obj client.Object) []types.NamespacedName {
	if isOurs(obj) {
		return nil
	}
	gvk, err := c.applier.Client.GroupVersionKindFor(obj)
	if err != nil {
		return nil
	}
	return c.blocked.take(apply.Ref{GroupVersionKind: gvk, Namespace: obj.GetNamespace(), Name: obj.GetName()}, reconciler)
}
