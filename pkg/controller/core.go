// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/mcsapi"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// core is what the reconcilers share.
type core struct {
	opts Options
	self translate.Cluster
	mcs  mcsapi.API
	// ranges says that the API server tells the ranges of its ClusterIPs.
	ranges  bool
	cache   client.Reader
	applier *apply.Applier
	notes   *notes
	metrics *metrics
	now     func() time.Time
	// restart ends the process, which is then started anew.
	restart func(error)

	ports   *portStore
	paths   *pathUse
	gate    *gate
	drains  *drains
	blocked *blocked
	// peerBook knows how the feeds of peers are.
	peerBook *peerBook
	// hops knows how the ways to peers are.
	hops *hopBook
	// properties are what the cluster says of itself.
	properties *properties
	// reach knows which peers are out of reach.
	reach *reach
	// hopsChanged holds one token: look at hops again.
	hopsChanged chan struct{}

	// What one reconciler asks of another.
	exports, imports, pathKeys, fleet, peers trigger
}

// lister collects for one reconciliation.
func (c *core) lister(ctx context.Context) *lister {
	return &lister{ctx: ctx, cache: c.cache, self: c.self, table: c.ports.Table, health: c.hops.health}
}

// write applies objects in their order. What carries none of our labels belongs to someone else and only gets the
// fields that are stated.
func (c *core) write(ctx context.Context, objs ...translate.Object) error {
	for _, obj := range objs {
		if _, err := c.writeOne(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

func (c *core) writeOne(ctx context.Context, obj client.Object) (apply.Change, error) {
	if obj.GetLabels()[v1alpha1.LabelManagedBy] != v1alpha1.ValueManagedBy {
		change, err := c.applier.Contribute(ctx, obj)
		c.metrics.wrote(change)
		return change, err
	}
	changes, err := c.applier.Apply(ctx, obj)
	if err != nil {
		return apply.Change{}, err
	}
	c.metrics.wrote(changes...)
	return changes[0], nil
}

// prune deletes what was written for owner and is not in keep.
func (c *core) prune(ctx context.Context, owner string, kinds []schema.GroupVersionKind, keep []translate.Object) error {
	refs := make([]apply.Ref, 0, len(keep))
	for _, obj := range keep {
		refs = append(refs, apply.RefOf(obj))
	}
	changes, err := c.applier.Prune(ctx, kinds, refs, ownedBy(owner))
	c.metrics.wrote(changes...)
	return err
}

// status writes a status and tells of conditions that changed.
func (c *core) status(ctx context.Context, obj client.Object) error {
	change, err := c.applier.ApplyStatus(ctx, apply.FieldManager, obj)
	if err != nil {
		return err
	}
	c.metrics.wrote(change)
	c.notes.transitions(obj, change.Transitions)
	return nil
}

// standing ends a reconciliation that cannot go on because an object that is not ours is in the way: trying again
// changes nothing, an event about that object does.
func (c *core) standing(reconciler string, key types.NamespacedName, err error) (reconcile.Result, error) {
	foreign, ok := apply.IsForeign(err)
	if !ok {
		return reconcile.Result{}, err
	}
	c.blocked.add(foreign.Ref, reconciler, key)
	c.notes.foreign(foreign)
	return reconcile.Result{RequeueAfter: foreignRetry}, nil
}

// foreignRetry is how often it is looked whether a foreign object is still in the way, besides at events about it: one
// that came and went between two looks at the cache gives none.
const foreignRetry = time.Minute

// ensurePath writes a path that is about to be routed to. A shared path that stands already is kept up to date by its
// own reconciler; a TCP leg's path carries the shares of the leg, so it is written with it.
func (c *core) ensurePath(ctx context.Context, key translate.PathKey) error {
	name := translate.PathName(key)
	if key.TCP.IsZero() && c.paths.stands(name) {
		return nil
	}
	if _, err := c.writePath(ctx, name); err != nil {
		return fmt.Errorf("path %s: %w", name, err)
	}
	return nil
}

// ensurePaths notes that user routes to the paths, and writes those that do not stand.
func (c *core) ensurePaths(ctx context.Context, user string, keys []translate.PathKey) error {
	c.paths.add(user, keys)
	for _, key := range keys {
		if err := c.ensurePath(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// releasePaths notes that user routes to these paths only, and has those taken away that nobody uses any more.
func (c *core) releasePaths(ctx context.Context, user string, keys []translate.PathKey) error {
	linger := c.opts.PathLinger
	if len(keys) == 0 {
		linger = 0 // nothing of the user's is left that could be routed
	}
	idle := c.paths.set(user, keys, linger)
	for _, name := range idle {
		c.pathKeys.askAfter(linger, types.NamespacedName{Name: name})
	}
	return c.sweepPaths(ctx)
}
