// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// pathReconciler keeps the paths in use up to date and takes away those that nobody uses.
type pathReconciler struct{ *core }

func (r *pathReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	left, err := r.writePath(ctx, req.Name)
	result, err := r.standing("path", req.NamespacedName, err)
	result.RequeueAfter = max(result.RequeueAfter, left)
	return result, err
}

// writePath brings one path in line with its use; left is how long one that nobody uses stays yet.
func (c *core) writePath(ctx context.Context, name string) (left time.Duration, err error) {
	defer c.paths.lock(name)()
	if key, used := c.paths.lookup(name); used {
		return 0, c.updatePath(ctx, name, key)
	}
	left, goes := c.paths.letGo(name)
	if !goes {
		return left, nil
	}
	if err := c.prune(ctx, pathOwner(name), pathKinds(), nil); err != nil {
		return 0, err
	}
	c.paths.deleted(name)
	return 0, nil
}

func (c *core) updatePath(ctx context.Context, name string, key translate.PathKey) error {
	l := c.lister(ctx)
	in := snapshot.PathInput(l, key)
	if err := l.Err(); err != nil {
		return err
	}
	for _, obj := range translate.Path(in) {
		change, err := c.writeOne(ctx, obj)
		if err != nil {
			return err
		}
		if change.Action == apply.Created {
			c.paths.created(name)
		}
	}
	c.paths.wrote(name)
	return nil
}

// sweepPaths has every path looked at that is written down, if only in part, once everyone has said what they use: those
// from before a restart that nobody uses now go.
func (c *core) sweepPaths(ctx context.Context) error {
	if !c.paths.complete() {
		return nil
	}
	found, err := c.applier.Owned(ctx, pathKinds(), client.InNamespace(v1alpha1.Namespace))
	if err != nil {
		return err
	}
	for _, obj := range found {
		if key, ok := keyOf(ownerOf(obj), "path"); ok {
			c.pathKeys.askAfter(c.opts.PathLinger, key)
		}
	}
	c.paths.sweptAll()
	return nil
}

// pathsOf are the keys of the paths in use that lead to one of the clusters or belong to a TCP leg, which may lead to any.
func (c *core) pathsOf(clusters ...string) []types.NamespacedName {
	names := c.paths.names(func(key translate.PathKey) bool {
		if len(clusters) == 0 || !key.TCP.IsZero() {
			return true
		}
		for _, id := range clusters {
			if key.Exporter == id || key.Backup == id {
				return true
			}
		}
		return false
	})
	keys := make([]types.NamespacedName, 0, len(names))
	for _, name := range names {
		keys = append(keys, types.NamespacedName{Name: name})
	}
	return keys
}
