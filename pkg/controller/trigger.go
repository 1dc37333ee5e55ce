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

// trigger lets other parts of the controller ask for keys of one reconciler. Before the reconciler runs it does nothing:
// all keys are looked at when it starts.
type trigger struct {
	mu    sync.Mutex
	queue queue
}

// source makes t a source of a controller.
func (t *trigger) source() source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = q
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
	q := t.queue
	t.mu.Unlock()
	if q == nil {
		return
	}
	for _, key := range keys {
		q.AddAfter(reconcile.Request{NamespacedName: key}, delay)
	}
}
