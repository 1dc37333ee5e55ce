// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func serviceLabels(namespace, name string) client.MatchingLabels {
	return client.MatchingLabels{mcw.LabelServiceNamespace: namespace, mcw.LabelServiceName: name}
}

// perService are the kinds of which the controller writes objects for a single service.
func perService() []schema.GroupVersionKind {
	istio := schema.GroupVersion{Group: "networking.istio.io", Version: "v1"}
	return []schema.GroupVersionKind{
		istio.WithKind("Gateway"), istio.WithKind("VirtualService"), istio.WithKind("ServiceEntry"), istio.WithKind("DestinationRule"),
		mcw.GroupVersion().WithKind("ServiceAdvertisement"),
		{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
	}
}

// ourObjects lists what the controller wrote for a service, in every namespace.
func (c *Cluster) ourObjects(ctx context.Context, namespace, name string) ([]string, error) {
	var found []string
	for _, gvk := range perService() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := c.List(ctx, list, serviceLabels(namespace, name)); err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			found = append(found, gvk.Kind+" "+o.GetNamespace()+"/"+o.GetName())
		}
	}
	return found, nil
}
