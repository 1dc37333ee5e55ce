// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"crypto/sha256"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// key is one configuration of one object: the object itself or its status, under one field manager.
type key struct {
	Ref
	Manager, Subresource string
}

func (k key) manager() string {
	if k.Manager == "" {
		return FieldManager
	}
	return k.Manager
}

// record is what was written last. It spares the comparison of what has not changed since, and the second write while
// the cache still shows the object from before the first. It also ends a loop with an API server that drops fields it
// does not know: what it answered counts as written.
type record struct {
	uid           types.UID
	before, after string
	sum           [sha256.Size]byte
}

// side is one of the configurations of an object.
type side struct {
	manager, subresource string
}

type records struct {
	mu   sync.Mutex
	last map[Ref]map[side]record
}

func newRecords() *records {
	return &records{last: map[Ref]map[side]record{}}
}

func (k key) side() side {
	return side{manager: k.manager(), subresource: k.Subresource}
}

func (r *records) set(k key, rec record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last[k.Ref] == nil {
		r.last[k.Ref] = map[side]record{}
	}
	r.last[k.Ref][k.side()] = rec
}

// drop forgets everything about ref.
func (r *records) drop(ref Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, ref)
}

// current tells whether live is the object that the last write of sum made, or the one that it was made over.
func (r *records) current(k key, live metav1.Object, sum [sha256.Size]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.last[k.Ref][k.side()]
	if !ok || rec.sum != sum || rec.uid != live.GetUID() {
		return false
	}
	version := live.GetResourceVersion()
	return version == rec.after || (rec.before != "" && version == rec.before)
}

// wrote tells whether obj is as the last write left it.
func (r *records) wrote(k key, obj metav1.Object) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.last[k.Ref][k.side()]
	return ok && rec.uid == obj.GetUID() && rec.after == obj.GetResourceVersion()
}
