// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mesh"
)

// pathSources are the events that concern paths: policies and cards, and paths that drift.
func (c *core) pathSources(cc cache.Cache) []source.Source {
	return append(c.watchRanges(cc, func(context.Context) []types.NamespacedName { return c.pathsOf() }),
		c.pathKeys.source(),
		watch(cc, &v1alpha1.WANPolicy{}, func(context.Context, *v1alpha1.WANPolicy) []types.NamespacedName {
			return c.pathsOf()
		}, declared[*v1alpha1.WANPolicy]()),
		watch(cc, &v1alpha1.Peer{}, func(_ context.Context, p *v1alpha1.Peer) []types.NamespacedName {
			return c.pathsOf(p.Spec.ClusterID)
		}, declared[*v1alpha1.Peer]()),
		watch(cc, &v1alpha1.ClusterAdvertisement{}, func(_ context.Context, card *v1alpha1.ClusterAdvertisement) []types.NamespacedName {
			return c.pathsOf(card.Spec.ClusterID)
		}, changed(waysChanged)),
		c.watchWritten(cc, &networkingv1.ServiceEntry{}, "path"),
		c.watchWritten(cc, &networkingv1.DestinationRule{}, "path"),
		c.watchWritten(cc, &networkingv1.VirtualService{}, "path"),
	)
}

// fleetSources are the events that concern the fleet; all ask for one key, after a pause.
func (c *core) fleetSources(cc cache.Cache) []source.Source {
	fleet := one(types.NamespacedName{Name: fleetKey})
	own := func(_ context.Context, o client.Object) []types.NamespacedName {
		if ownerOf(o) == fleetKey || concernsCard(o, c.self.ID, c.opts) {
			return fleet
		}
		return c.inTheWayOf(fleetKey, o)
	}
	out := []source.Source{
		c.fleet.source(),
		watchLater(cc, &v1alpha1.WANPolicy{}, holdOff, func(context.Context, *v1alpha1.WANPolicy) []types.NamespacedName {
			return fleet
		}, declared[*v1alpha1.WANPolicy]()),
		watchLater(cc, &v1alpha1.Peer{}, holdOff, func(context.Context, *v1alpha1.Peer) []types.NamespacedName {
			return fleet
		}, declared[*v1alpha1.Peer]()),
		watchLater(cc, &v1alpha1.ClusterAdvertisement{}, holdOff, func(context.Context, *v1alpha1.ClusterAdvertisement) []types.NamespacedName {
			return fleet
		}, changed(waysChanged)),
	}
	for _, obj := range []client.Object{
		&networkingv1.Gateway{}, &networkingv1.VirtualService{}, &networkingv1.DestinationRule{}, &networkingv1alpha3.EnvoyFilter{},
		&securityv1.AuthorizationPolicy{}, &securityv1.PeerAuthentication{}, &corev1.Service{}, &discoveryv1.EndpointSlice{},
		&v1alpha1.ServiceAdvertisement{}, &v1alpha1.ClusterAdvertisement{}, &corev1.ConfigMap{}, &appsv1.Deployment{},
	} {
		out = append(out, watchLater(cc, obj, holdOff, own, c.drifts()))
	}
	return out
}

// concernsCard tells whether an object is something that the own card, or the look at the mesh, is made of.
func concernsCard(o client.Object, self string, opts Options) bool {
	inOwn, inIstio := o.GetNamespace() == v1alpha1.Namespace, o.GetNamespace() == opts.IstioNamespace
	switch o.(type) {
	case *corev1.Service:
		return inOwn && o.GetName() == v1alpha1.IngressName
	case *discoveryv1.EndpointSlice:
		return inOwn && o.GetLabels()[discoveryv1.LabelServiceName] == v1alpha1.IngressName
	case *v1alpha1.ServiceAdvertisement, *v1alpha1.ClusterAdvertisement:
		return o.GetLabels()[v1alpha1.LabelSourceCluster] == self
	case *corev1.ConfigMap:
		return (inOwn && o.GetName() == mesh.RootConfigMap) || (inIstio && o.GetName() == mesh.ConfigMapName(opts.IstioRevision))
	case *appsv1.Deployment:
		return inIstio
	}
	return false
}

// waysChanged leaves out what changes in a card all the time and leads nowhere: counts and acknowledgements.
func waysChanged(before, after *v1alpha1.ClusterAdvertisement) bool {
	strip := func(card *v1alpha1.ClusterAdvertisement) *v1alpha1.ClusterAdvertisement {
		out := card.DeepCopy()
		out.Spec.Generation, out.Spec.Advertisements, out.Spec.Drained = 0, 0, nil
		return out
	}
	return specChanged(strip(before), strip(after))
}

// peerSources are the events that concern the reading of peers. recheck is told of peers whose copies somebody else
// changed: they are written again.
func (c *core) peerSources(cc cache.Cache, recheck func(clusterID string)) []source.Source {
	return append(c.watchRanges(cc, c.allPeers),
		watch(cc, client.Object(&v1alpha1.ServiceAdvertisement{}), func(_ context.Context, o client.Object) []types.NamespacedName {
			if id := sourceOf(o); id != "" && id != c.self.ID {
				recheck(id)
			}
			return nil
		}, c.drifts()),
		c.peers.source(),
		watch(cc, &v1alpha1.Peer{}, func(ctx context.Context, p *v1alpha1.Peer) []types.NamespacedName {
			return c.joined(ctx, client.ObjectKeyFromObject(p))
		}, declared[*v1alpha1.Peer]()),
		// A policy may be drained, which shows on each peer's hops.
		watch(cc, &v1alpha1.WANPolicy{}, func(ctx context.Context, _ *v1alpha1.WANPolicy) []types.NamespacedName {
			return c.allPeers(ctx)
		}, declared[*v1alpha1.WANPolicy]()),
		watch(cc, &v1alpha1.ClusterAdvertisement{}, func(ctx context.Context, card *v1alpha1.ClusterAdvertisement) []types.NamespacedName {
			return c.sourcePeer(ctx, card, true)
		}, changed(specChanged)),
		// What stands of a cluster that is not joined goes.
		watch(cc, &v1alpha1.ServiceAdvertisement{}, func(ctx context.Context, a *v1alpha1.ServiceAdvertisement) []types.NamespacedName {
			return c.sourcePeer(ctx, a, false)
		}),
	)
}

// joined are the keys of all peers and of key: whether one is accepted depends on the others.
func (c *core) joined(ctx context.Context, key types.NamespacedName) []types.NamespacedName {
	keys := c.allPeers(ctx)
	if !slices.Contains(keys, key) {
		keys = append(keys, key)
	}
	return keys
}

// allPeers are the keys of all Peers.
func (c *core) allPeers(ctx context.Context) []types.NamespacedName {
	l := c.lister(ctx)
	var keys []types.NamespacedName
	for _, p := range l.Peers() {
		keys = append(keys, client.ObjectKeyFromObject(&p))
	}
	return keys
}

// sourcePeer is the peer of which obj is a copy, if it is not joined any more, or whether it is or not.
func (c *core) sourcePeer(ctx context.Context, obj client.Object, always bool) []types.NamespacedName {
	key, left := c.leftBehind(ctx, sourceOf(obj))
	if key.Name == "" || key.Name == c.self.ID || (!left && !always) {
		return nil
	}
	return one(key)
}

// othersOrDrift lets events about advertisements of others pass, and about own ones as drifts does.
func (c *core) othersOrDrift() predicate.TypedPredicate[client.Object] {
	return predicate.TypedFuncs[client.Object]{
		UpdateFunc: func(e event.TypedUpdateEvent[client.Object]) bool {
			return e.ObjectNew.GetLabels()[v1alpha1.LabelSourceCluster] != c.self.ID || !c.applier.Wrote(e.ObjectNew)
		},
	}
}
