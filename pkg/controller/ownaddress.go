// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	k8snetworkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// servesRanges asks whether the API server tells the ranges of its ClusterIPs: it does from Kubernetes 1.33 on.
func servesRanges(cfg *rest.Config) (bool, error) {
	dc, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return false, fmt.Errorf("asking for the ranges of ClusterIPs: %w", err)
	}
	served, err := dc.ServerResourcesForGroupVersion(k8snetworkingv1.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking for the ranges of ClusterIPs: %w", err)
	}
	for _, r := range served.APIResources {
		if r.Kind == "ServiceCIDR" {
			return true, nil
		}
	}
	return false, nil
}

// optionalKinds are the kinds that not every API server has.
func optionalKinds(ranges bool) []client.Object {
	if !ranges {
		return nil
	}
	return []client.Object{&k8snetworkingv1.ServiceCIDR{}}
}

// ownAddress tells whether an address is a ClusterIP of this cluster, or in their range where the API server tells it: no
// gateway of a peer can have it.
func (c *core) ownAddress(addr netip.Addr) bool {
	ctx := context.Background()
	var services corev1.ServiceList
	err := c.cache.List(ctx, &services, client.MatchingFields{indexClusterIP: addr.String()}, client.UnsafeDisableDeepCopy)
	if err == nil && len(services.Items) > 0 {
		return true
	}
	if !c.ranges {
		return false
	}
	var ranges k8snetworkingv1.ServiceCIDRList
	if err := c.cache.List(ctx, &ranges, client.UnsafeDisableDeepCopy); err != nil {
		return false
	}
	for i := range ranges.Items {
		if translate.InRanges(ranges.Items[i].Spec.CIDRs, addr) {
			return true
		}
	}
	return false
}

// watchRanges asks for all those keys when the ranges of ClusterIPs change; it watches nothing where they are not told.
func (c *core) watchRanges(cc cache.Cache, all func(context.Context) []types.NamespacedName) []source.Source {
	if !c.ranges {
		return nil
	}
	return []source.Source{watch(cc, &k8snetworkingv1.ServiceCIDR{}, func(ctx context.Context, _ *k8snetworkingv1.ServiceCIDR) []types.NamespacedName {
		return all(ctx)
	}, declared[*k8snetworkingv1.ServiceCIDR]())}
}
