// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func serviceLabels(namespace, name string) client.MatchingLabels {
	return client.MatchingLabels{mcw.LabelServiceNamespace: namespace, mcw.LabelServiceName: name}
}

// writtenKinds are the kinds of which the controller writes objects. Of some it writes those of the fleet only: that they
// stay so is part of what is looked at.
func writtenKinds() []schema.GroupVersionKind {
	networking := schema.GroupVersion{Group: "networking.istio.io", Version: "v1"}
	security := schema.GroupVersion{Group: "security.istio.io", Version: "v1"}
	core := schema.GroupVersion{Version: "v1"}
	return []schema.GroupVersionKind{
		networking.WithKind("Gateway"), networking.WithKind("VirtualService"), networking.WithKind("ServiceEntry"), networking.WithKind("DestinationRule"),
		{Group: "networking.istio.io", Version: "v1alpha3", Kind: "EnvoyFilter"},
		security.WithKind("AuthorizationPolicy"), security.WithKind("PeerAuthentication"),
		mcw.GroupVersion().WithKind("ServiceAdvertisement"), mcw.GroupVersion().WithKind("ClusterAdvertisement"),
		{Group: "multicluster.x-k8s.io", Version: "v1beta1", Kind: "ServiceImport"},
		{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
		core.WithKind("Service"), core.WithKind("ConfigMap"),
	}
}

// ourObjects lists what the controller wrote with some labels, in every namespace.
func (c *Cluster) ourObjects(ctx context.Context, labels client.MatchingLabels) ([]string, error) {
	var found []string
	for _, gvk := range writtenKinds() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := c.List(ctx, list, labels); err != nil {
			return nil, fmt.Errorf("%s: %w", gvk.Kind, err)
		}
		for _, o := range list.Items {
			found = append(found, gvk.Kind+" "+o.GetNamespace()+"/"+o.GetName())
		}
	}
	return found, nil
}

// gone checks that an import and everything of ours for it has left a cluster.
func (c *Cluster) gone(ctx context.Context, namespace, name string) error {
	var imp mcs.ServiceImport
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &imp); !apierrors.IsNotFound(err) {
		return errors.Join(errors.New("the ServiceImport is still there"), err)
	}
	left, err := c.ourObjects(ctx, serviceLabels(namespace, name))
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("still there: %s", strings.Join(left, ", "))
	}
	return nil
}

// pathsGone checks that a cluster that imports nothing has no paths but those of the default policy, which carry the feed.
// Where something else is imported, its paths stay, and there is nothing to tell.
func (c *Cluster) pathsGone(ctx context.Context) error {
	var imports mcs.ServiceImportList
	if err := c.List(ctx, &imports); err != nil || len(imports.Items) > 0 {
		return err
	}
	paths, err := c.ourObjects(ctx, client.MatchingLabels{mcw.LabelPart: "path"})
	if err != nil {
		return err
	}
	if left := slices.DeleteFunc(paths, func(o string) bool { return strings.Contains(o, "/path-default-") }); len(left) > 0 {
		return fmt.Errorf("still there, though nothing is imported: %s", strings.Join(left, ", "))
	}
	return nil
}
