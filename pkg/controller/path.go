// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
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
	return r.standing("path", req.NamespacedName, r.writePath(ctx, req.Name))
}

// writePath brings one path in line with its use.
func (c *core) writePath(ctx context.Context, name string) error {
	defer c.paths.lock(name)()
	key, used, mayGo := c.paths.lookup(name)
	switch {
	case used:
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
	case mayGo:
		if err := c.prune(ctx, pathOwner(name), pathKinds(), nil); err != nil {
			return err
		}
		c.paths.deleted(name)
	}
	return nil
}

// sweepPaths has every path looked at that is written down: those from before a restart that nobody uses now go.
func (c *core) sweepPaths(ctx context.Context) error {
	var list networkingv1.ServiceEntryList
	if err := c.cache.List(ctx, &list, client.InNamespace(v1alpha1.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	for _, entry := range list.Items {
		if key, ok := keyOf(ownerOf(entry), "path"); ok {
			c.pathKeys.askAfter(c.opts.PathLinger, key)
		}
	}
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
