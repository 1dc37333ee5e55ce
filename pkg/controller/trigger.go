// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// queue is what keys wait in.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// trigger lets other parts of the controller ask for keys of one reconciler. What is asked for before the reconciler runs
// is looked at when it starts.
type trigger struct {
	mu    sync.Mutex
	queue queue
	early map[types.NamespacedName]bool
}

// source makes t a source of a controller.
func (t *trigger) source() source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = q
		for key := range t.early {
			q.Add(reconcile.Request{NamespacedName: key})
		}
		t.early = nil
		return nil
	})
}

// ask has keys reconciled soon.
func (t *trigger) ask(keys ...types.NamespacedName) {
	t.askAfter(0, keys...)
}

// askAfter has keys reconciled after a while; events that come meanwhile are taken care of together.
func (t *trigger) askAfter(delay time.Duration, keys ...types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		if t.queue != nil {
			t.queue.AddAfter(reconcile.Request{NamespacedName: key}, delay)
			continue
		}
		if t.early == nil {
			t.early = map[types.NamespacedName]bool{}
		}
		t.early[key] = true
	}
}
