// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// linger keeps what has become surplus for a while: others may still be using it. After a restart the while starts anew.
type linger[T comparable] struct {
	while time.Duration
	now   func() time.Time

	mu    sync.Mutex
	since map[types.NamespacedName]map[T]time.Time
}

func newLinger[T comparable](while time.Duration, now func() time.Time) *linger[T] {
	return &linger[T]{while: while, now: now, since: map[types.NamespacedName]map[T]time.Time{}}
}

// left is how long what is surplus of key stays at least; 0 when all may go, or there is none.
func (l *linger[T]) left(key types.NamespacedName, surplus []T) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, after := l.since[key], map[T]time.Time{}
	longest := time.Duration(0)
	for _, ref := range surplus {
		since, known := before[ref]
		if !known {
			since = l.now()
		}
		after[ref] = since
		longest = max(longest, since.Add(l.while).Sub(l.now()))
	}
	if len(after) == 0 {
		delete(l.since, key)
	} else {
		l.since[key] = after
	}
	return longest
}

// staying are those of what is surplus of key that have not stayed long enough, and how long the first of them stays.
func (l *linger[T]) staying(key types.NamespacedName, surplus []T) (still []T, next time.Duration) {
	l.left(key, surplus)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ref := range surplus {
		if left := l.since[key][ref].Add(l.while).Sub(l.now()); left > 0 {
			still = append(still, ref)
			if next == 0 || left < next {
				next = left
			}
		}
	}
	return still, next
}

// knows tells whether something of key was surplus when left was asked last.
func (l *linger[T]) knows(key types.NamespacedName) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.since[key]) > 0
}

func (l *linger[T]) forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.since, key)
}

// surplus is what was found and is not to be kept.
func surplus(found []client.Object, keep []translate.Object) []apply.Ref {
	kept := map[apply.Ref]bool{}
	for _, obj := range keep {
		kept[apply.RefOf(obj)] = true
	}
	var out []apply.Ref
	for _, obj := range found {
		if ref := apply.RefOf(obj); !kept[ref] {
			out = append(out, ref)
		}
	}
	return out
}
