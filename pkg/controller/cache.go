// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/mesh"
)

// The field indexes, so that one event costs as much among a thousand services as among one.
const (
	// indexOwner finds what was written for one key, see ownerOf.
	indexOwner = "mcw.owner"
	// indexService finds the advertisements of one service ("namespace/name") and the EndpointSlices of one Service (name).
	indexService = "mcw.service"
	// indexNamespace finds the advertisements for services of one namespace.
	indexNamespace = "mcw.namespace"
	// indexSource finds the advertisements of one cluster.
	indexSource = "mcw.source"
	// indexClusterIP finds the Service of a ClusterIP.
	indexClusterIP = "mcw.clusterIP"
)

// cacheOptions keep in memory what the controller looks at and no more: Istio's kinds in mc-wan only, the ConfigMaps and
// the Deployment that it reads by name, so that it needs the right to list no others; of what belongs to others elsewhere,
// little more than that it exists.
func cacheOptions(istioNamespace, istioRevision string) cache.Options {
	own := map[string]cache.Config{v1alpha1.Namespace: {}}
	return cache.Options{
		DefaultTransform: slim,
		ByObject: map[client.Object]cache.ByObject{
			&networkingv1.VirtualService{}:    {Namespaces: own},
			&networkingv1.Gateway{}:           {Namespaces: own},
			&networkingv1.DestinationRule{}:   {Namespaces: own},
			&networkingv1alpha3.EnvoyFilter{}: {Namespaces: own},
			&securityv1.AuthorizationPolicy{}: {Namespaces: own},
			&securityv1.PeerAuthentication{}:  {Namespaces: own},
			&v1alpha1.Peer{}:                  {Namespaces: own},
			&v1alpha1.ServiceAdvertisement{}:  {Namespaces: own},
			&v1alpha1.ClusterAdvertisement{}:  {Namespaces: own},
			&corev1.ConfigMap{}: {Namespaces: map[string]cache.Config{
				v1alpha1.Namespace: named(mesh.RootConfigMap),
				istioNamespace:     named(mesh.ConfigMapName(istioRevision)),
			}},
			&appsv1.Deployment{}: {Namespaces: map[string]cache.Config{istioNamespace: named(mesh.DeploymentName(istioRevision))}},
		},
	}
}

// named keeps one object of a namespace.
func named(name string) cache.Config {
	return cache.Config{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name)}
}

// slim drops what nobody here looks at before an object enters the cache.
func slim(in any) (any, error) {
	obj, err := meta.Accessor(in)
	if err != nil {
		return in, nil // a tombstone: nothing to save
	}
	obj.SetManagedFields(ownFields(obj.GetManagedFields()))
	ours := isOurs(obj)
	switch o := in.(type) {
	case *networkingv1.ServiceEntry:
		if !ours {
			o.Spec.Reset()
			o.Annotations = nil
		}
	case *discoveryv1.EndpointSlice:
		if !ours {
			slimEndpoints(o)
		}
	case *appsv1.Deployment:
		o.Annotations = nil
	}
	return in, nil
}

// ownFields are the fields that we own: drift is judged by them.
func ownFields(all []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var own []metav1.ManagedFieldsEntry
	for _, entry := range all {
		if strings.HasPrefix(entry.Manager, apply.FieldManager) {
			own = append(own, entry)
		}
	}
	return own
}

// slimEndpoints keeps who an endpoint is for headless Services only: theirs are told apart, of others' they are counted.
func slimEndpoints(slice *discoveryv1.EndpointSlice) {
	slice.Annotations = nil
	_, headless := slice.Labels[corev1.IsHeadlessService]
	for i := range slice.Endpoints {
		e := &slice.Endpoints[i]
		slim := discoveryv1.Endpoint{Addresses: e.Addresses, Conditions: e.Conditions, Hostname: e.Hostname}
		if headless {
			slim.TargetRef = reference(e.TargetRef)
		}
		slice.Endpoints[i] = slim
	}
}

// reference is what tells one endpoint's object from another's.
func reference(ref *corev1.ObjectReference) *corev1.ObjectReference {
	if ref == nil {
		return nil
	}
	return &corev1.ObjectReference{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID}
}

// addIndexes adds the field indexes to the cache.
func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, obj := range writtenKinds() {
		if err := indexer.IndexField(ctx, obj, indexOwner, ownerIndex); err != nil {
			return fmt.Errorf("indexing %T by owner: %w", obj, err)
		}
	}
	adv := &v1alpha1.ServiceAdvertisement{}
	for _, index := range []struct {
		obj   client.Object
		field string
		value func(client.Object) []string
	}{
		{adv, indexService, func(o client.Object) []string {
			return []string{serviceOf(o.(*v1alpha1.ServiceAdvertisement)).String()}
		}},
		{adv, indexNamespace, func(o client.Object) []string { return []string{o.(*v1alpha1.ServiceAdvertisement).Spec.Namespace} }},
		{adv, indexSource, func(o client.Object) []string { return []string{o.(*v1alpha1.ServiceAdvertisement).Spec.ClusterID} }},
		{&discoveryv1.EndpointSlice{}, indexService, sliceIndex},
		{&corev1.Service{}, indexClusterIP, func(o client.Object) []string { return o.(*corev1.Service).Spec.ClusterIPs }},
	} {
		if err := indexer.IndexField(ctx, index.obj, index.field, index.value); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", index.obj, index.field, err)
		}
	}
	return nil
}

// writtenKinds are all kinds that are pruned by key.
func writtenKinds() []client.Object {
	return []client.Object{
		&networkingv1.ServiceEntry{}, &networkingv1.VirtualService{}, &networkingv1.Gateway{}, &networkingv1.DestinationRule{},
		&networkingv1alpha3.EnvoyFilter{}, &securityv1.AuthorizationPolicy{}, &securityv1.PeerAuthentication{},
		&mcsv1beta1.ServiceImport{}, &discoveryv1.EndpointSlice{}, &corev1.Service{},
	}
}

// warm has every replica read all that a leader decides by, so that one that takes over does so at once.
func warm(ctx context.Context, cc cache.Cache, optional ...client.Object) error {
	for _, obj := range append(append(writtenKinds(), optional...), &mcsv1beta1.ServiceExport{}, &corev1.Namespace{}, &corev1.ConfigMap{}, &appsv1.Deployment{},
		&mcwanv1alpha1.ServiceImport{}, &mcwanv1alpha1.ServiceExport{}, &v1alpha1.WANPolicy{}, &v1alpha1.Peer{}, &v1alpha1.ServiceAdvertisement{}, &v1alpha1.ClusterAdvertisement{}) {
		if _, err := cc.GetInformer(ctx, obj, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watching %T: %w", obj, err)
		}
	}
	return nil
}

func sliceIndex(o client.Object) []string {
	if name := o.GetLabels()[discoveryv1.LabelServiceName]; name != "" {
		return []string{name}
	}
	return nil
}

func ownerIndex(o client.Object) []string {
	if owner := ownerOf(o); owner != "" {
		return []string{owner}
	}
	return nil
}
