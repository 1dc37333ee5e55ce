// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
)

// exportSources are the events that concern exports. Most Services and EndpointSlices of a cluster are not exported:
// they are told apart by one look at the cache.
func (c *core) exportSources(cc cache.Cache) []source.Source {
	out := []source.Source{
		c.exports.source(),
		watch(cc, &mcsv1beta1.ServiceExport{}, func(_ context.Context, e *mcsv1beta1.ServiceExport) []types.NamespacedName {
			return one(client.ObjectKeyFromObject(e))
		}, declared[*mcsv1beta1.ServiceExport]()),
		watch(cc, &mcwanv1alpha1.ServiceImport{}, func(ctx context.Context, r *mcwanv1alpha1.ServiceImport) []types.NamespacedName {
			return c.ifExported(ctx, client.ObjectKeyFromObject(r)) // the owner is told whose rules hold here
		}, declared[*mcwanv1alpha1.ServiceImport]()),
		watch(cc, &mcwanv1alpha1.ServiceExport{}, func(_ context.Context, r *mcwanv1alpha1.ServiceExport) []types.NamespacedName {
			return one(client.ObjectKeyFromObject(r))
		}, declared[*mcwanv1alpha1.ServiceExport]()),
		watch(cc, &corev1.Service{}, func(ctx context.Context, s *corev1.Service) []types.NamespacedName {
			return c.ifExported(ctx, client.ObjectKeyFromObject(s))
		}, changed(serviceChanged)),
		watch(cc, &discoveryv1.EndpointSlice{}, func(ctx context.Context, s *discoveryv1.EndpointSlice) []types.NamespacedName {
			return c.ifExported(ctx, types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]})
		}, changed(slicesChanged)),
		watch(cc, &v1alpha1.WANPolicy{}, func(ctx context.Context, _ *v1alpha1.WANPolicy) []types.NamespacedName {
			return c.allExports(ctx)
		}, changed(policyChanged)),
		// Others' advertisements of the name decide about conflicts; the own one must not drift.
		watch(cc, client.Object(&v1alpha1.ServiceAdvertisement{}), func(ctx context.Context, o client.Object) []types.NamespacedName {
			return c.ifExported(ctx, serviceOf(o.(*v1alpha1.ServiceAdvertisement)))
		}, c.othersOrDrift()),
		// A peer's card acknowledges drained exports.
		watch(cc, &v1alpha1.ClusterAdvertisement{}, func(context.Context, *v1alpha1.ClusterAdvertisement) []types.NamespacedName {
			return c.drainingExports()
		}, changed(specChanged)),
		watch(cc, &v1alpha1.Peer{}, func(context.Context, *v1alpha1.Peer) []types.NamespacedName {
			return c.drainingExports()
		}, declared[*v1alpha1.Peer]()),
	}
	for _, obj := range []client.Object{
		&networkingv1.VirtualService{}, &networkingv1.Gateway{}, &networkingv1.DestinationRule{}, &discoveryv1.EndpointSlice{}, &corev1.Service{},
	} {
		out = append(out, c.watchWritten(cc, obj, "export"))
	}
	return out
}

// ifExported is key if a ServiceExport or an advertisement of that name stands here.
func (c *core) ifExported(ctx context.Context, key types.NamespacedName) []types.NamespacedName {
	if key.Name == "" {
		return nil
	}
	l := c.lister(ctx)
	if l.Export(key.Namespace, key.Name) != nil {
		return one(key)
	}
	for _, adv := range l.Advertisements(key.Namespace, key.Name) {
		if adv.Spec.ClusterID == c.self.ID {
			return one(key)
		}
	}
	return nil
}

// allExports are the keys of all exports and of what is still advertised.
func (c *core) allExports(ctx context.Context) []types.NamespacedName {
	l := c.lister(ctx)
	var exports mcsv1beta1.ServiceExportList
	l.list(&exports)
	var own v1alpha1.ServiceAdvertisementList
	l.list(&own, client.InNamespace(v1alpha1.Namespace), client.MatchingFields{indexSource: c.self.ID})
	var keys []types.NamespacedName
	for i := range exports.Items {
		keys = append(keys, client.ObjectKeyFromObject(&exports.Items[i]))
	}
	for i := range own.Items {
		keys = append(keys, serviceOf(&own.Items[i]))
	}
	return keys
}

// importSources are the events that concern imports.
func (c *core) importSources(cc cache.Cache) []source.Source {
	out := []source.Source{
		c.imports.source(),
		watch(cc, &v1alpha1.ServiceAdvertisement{}, func(_ context.Context, a *v1alpha1.ServiceAdvertisement) []types.NamespacedName {
			return one(serviceOf(a))
		}, declared[*v1alpha1.ServiceAdvertisement]()),
		watch(cc, &corev1.Namespace{}, func(ctx context.Context, ns *corev1.Namespace) []types.NamespacedName {
			return c.advertised(ctx, client.MatchingFields{indexNamespace: ns.Name})
		}, changed(namespaceChanged)),
		watch(cc, &v1alpha1.WANPolicy{}, func(ctx context.Context, _ *v1alpha1.WANPolicy) []types.NamespacedName {
			return c.advertised(ctx)
		}, declared[*v1alpha1.WANPolicy]()),
		watch(cc, &v1alpha1.Peer{}, func(ctx context.Context, p *v1alpha1.Peer) []types.NamespacedName {
			return c.advertised(ctx, client.MatchingFields{indexSource: p.Spec.ClusterID})
		}, changed(peerChanged)),
		watch(cc, client.Object(&mcsv1beta1.ServiceImport{}), func(_ context.Context, o client.Object) []types.NamespacedName {
			return one(client.ObjectKeyFromObject(o))
		}, c.drifts()),
		watch(cc, &mcwanv1alpha1.ServiceImport{}, func(_ context.Context, r *mcwanv1alpha1.ServiceImport) []types.NamespacedName {
			return one(client.ObjectKeyFromObject(r))
		}, declared[*mcwanv1alpha1.ServiceImport]()),
		// Which policies are on offer stands on the exporters' cards.
		watch(cc, &v1alpha1.ClusterAdvertisement{}, func(ctx context.Context, card *v1alpha1.ClusterAdvertisement) []types.NamespacedName {
			return c.advertised(ctx, client.MatchingFields{indexSource: card.Spec.ClusterID})
		}, changed(offersChanged)),
		watch(cc, &corev1.Service{}, c.waitingForName, changed(labelsChanged)),
	}
	for _, obj := range []client.Object{
		&networkingv1.ServiceEntry{}, &networkingv1.VirtualService{}, &networkingv1.Gateway{}, &discoveryv1.EndpointSlice{}, &corev1.Service{},
	} {
		out = append(out, c.watchWritten(cc, obj, "import"))
	}
	return out
}

// waitingForName are the imports that wait for the name of a dummy Service, about which there is an event.
func (c *core) waitingForName(_ context.Context, s *corev1.Service) []types.NamespacedName {
	if s.Namespace != v1alpha1.Namespace || s.Labels[v1alpha1.LabelPolicy] == "" {
		return nil
	}
	return c.blocked.take(serviceRef(s.Name), "import")
}

// serviceRef is a Service of ours.
func serviceRef(name string) apply.Ref {
	return apply.Ref{GroupVersionKind: corev1.SchemeGroupVersion.WithKind("Service"), Namespace: v1alpha1.Namespace, Name: name}
}

// advertised are the services that somebody advertises.
func (c *core) advertised(ctx context.Context, opts ...client.ListOption) []types.NamespacedName {
	l := c.lister(ctx)
	var list v1alpha1.ServiceAdvertisementList
	l.list(&list, append(opts, client.InNamespace(v1alpha1.Namespace))...)
	keys := make([]types.NamespacedName, 0, len(list.Items))
	for i := range list.Items {
		keys = append(keys, serviceOf(&list.Items[i]))
	}
	return keys
}
