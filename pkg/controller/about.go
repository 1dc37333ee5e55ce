// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/l7mp/mc-wan/pkg/about"
)

// properties are the cluster's ClusterProperty objects: watched from when somebody serves them, which may be never.
type properties struct {
	cache     cache.Cache
	discovery discovery.DiscoveryInterface
	every     time.Duration
	// changed is called when one of them changes.
	changed func()
	// watched is the kind once it is watched.
	watched atomic.Pointer[schema.GroupVersionKind]
}

// Start asks again and again whether they are served, until they are.
func (p *properties) Start(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, p.every, true, func(ctx context.Context) (bool, error) {
		kind, err := about.Served(p.discovery)
		if err != nil || kind.Empty() {
			return false, nil // the next time
		}
		return p.watch(ctx, kind) == nil, nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *properties) watch(ctx context.Context, kind schema.GroupVersionKind) error {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	informer, err := p.cache.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %s: %w", kind.Kind, err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { p.changed() }, UpdateFunc: func(any, any) { p.changed() }, DeleteFunc: func(any) { p.changed() },
	})
	if err != nil {
		return fmt.Errorf("watching %s: %w", kind.Kind, err)
	}
	p.watched.Store(&kind)
	return nil
}

// problems are what is wrong with them for a cluster of that id.
func (p *properties) problems(ctx context.Context, clusterID string) ([]finding, error) {
	kind := p.watched.Load()
	if kind == nil {
		return nil, nil
	}
	property := &unstructured.Unstructured{}
	property.SetGroupVersionKind(*kind)
	found := &lister{ctx: ctx, cache: p.cache}
	if !found.get("", about.ClusterIDProperty, property) {
		return nil, found.Err()
	}
	if problem := about.Problem(clusterID, property); problem != nil {
		return []finding{{property, *problem}}, nil
	}
	return nil, nil
}

// newProperties has the fleet looked at when one changes.
func (c *core) newProperties(mgr manager.Manager) error {
	client, err := discovery.NewDiscoveryClientForConfig(mgr.GetConfig())
	if err != nil {
		return fmt.Errorf("asking whether %s is served: %w", about.Group, err)
	}
	c.properties = &properties{cache: mgr.GetCache(), discovery: client, every: c.opts.AboutRetry, changed: func() {
		c.fleet.askAfter(holdOff, types.NamespacedName{Name: fleetKey})
	}}
	return nil
}
