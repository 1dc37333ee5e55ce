// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"

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
	mu     sync.Mutex
	last   map[Ref]map[side]record
	graves map[Ref]grave
}

// grave is an object that was deleted, which the cache may show for a moment longer.
type grave struct {
	uid types.UID
	dug time.Time
}

// staleAtMost is longer than a cache is behind. One that is further behind shows an object that is gone, as if nothing were
// known of it.
const staleAtMost = time.Minute

func newRecords() *records {
	return &records{last: map[Ref]map[side]record{}, graves: map[Ref]grave{}}
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

// bury forgets everything about ref, except that the object of that uid is no more.
func (r *records) bury(ref Ref, uid types.UID, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, ref)
	maps.DeleteFunc(r.graves, func(_ Ref, g grave) bool { return now.Sub(g.dug) > staleAtMost })
	r.graves[ref] = grave{uid: uid, dug: now}
}

// buried tells whether live is an object that was deleted since.
func (r *records) buried(ref Ref, live metav1.Object) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, ok := r.graves[ref]
	return ok && g.uid == live.GetUID()
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

// behind tells whether live may be older than the last write, which was of something else than sum: what differs from live
// does not tell then what differs from the object.
func (r *records) behind(k key, live metav1.Object, sum [sha256.Size]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.last[k.Ref][k.side()]
	return ok && rec.uid == live.GetUID() && rec.sum != sum && rec.after != live.GetResourceVersion()
}

// wrote tells whether obj is as the last write left it.
func (r *records) wrote(k key, obj metav1.Object) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.last[k.Ref][k.side()]
	return ok && rec.uid == obj.GetUID() && rec.after == obj.GetResourceVersion()
}
