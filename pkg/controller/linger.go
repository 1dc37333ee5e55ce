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
type linger struct {
	while time.Duration
	now   func() time.Time

	mu    sync.Mutex
	since map[types.NamespacedName]map[apply.Ref]time.Time
}

func newLinger(while time.Duration, now func() time.Time) *linger {
	return &linger{while: while, now: now, since: map[types.NamespacedName]map[apply.Ref]time.Time{}}
}

// left is how long the surplus objects of key stay at least; 0 when all may go, or there are none.
func (l *linger) left(key types.NamespacedName, surplus []apply.Ref) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, after := l.since[key], map[apply.Ref]time.Time{}
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

func (l *linger) forget(key types.NamespacedName) {
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
