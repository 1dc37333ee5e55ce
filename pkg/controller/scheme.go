// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcsapi"
)

// NewScheme knows every kind that the controller reads or writes, those of the Multi-Cluster Services API as v1beta1.
func NewScheme() (*runtime.Scheme, error) { return NewSchemeFor(mcsv1beta1.GroupVersion.Version) }

// NewSchemeFor is NewScheme for a cluster that serves that version of the Multi-Cluster Services API.
func NewSchemeFor(mcsVersion string) (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme,
		v1alpha1.AddToScheme,
		mcwanv1alpha1.AddToScheme,
		mcsapi.AddToScheme(mcsVersion),
		networkingv1.AddToScheme,
		networkingv1alpha3.AddToScheme,
		securityv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// The kinds that are written, in the order in which they are pruned: first what makes clients come, last what they need.
func (c *core) importKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		c.mcs.Kind(mcsv1beta1.ServiceImportKindName),
		networkingv1.SchemeGroupVersion.WithKind("ServiceEntry"),
		{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
		networkingv1.SchemeGroupVersion.WithKind("VirtualService"),
		networkingv1.SchemeGroupVersion.WithKind("Gateway"),
		{Version: "v1", Kind: "Service"},
	}
}

func exportKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		networkingv1.SchemeGroupVersion.WithKind("VirtualService"),
		networkingv1.SchemeGroupVersion.WithKind("Gateway"),
		networkingv1.SchemeGroupVersion.WithKind("DestinationRule"),
		{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
		{Version: "v1", Kind: "Service"},
	}
}

func sliceKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"}}
}

func pathKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		networkingv1.SchemeGroupVersion.WithKind("VirtualService"),
		networkingv1.SchemeGroupVersion.WithKind("ServiceEntry"),
		networkingv1.SchemeGroupVersion.WithKind("DestinationRule"),
	}
}

func fleetKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		networkingv1.SchemeGroupVersion.WithKind("VirtualService"),
		networkingv1.SchemeGroupVersion.WithKind("Gateway"),
		networkingv1.SchemeGroupVersion.WithKind("DestinationRule"),
		networkingv1alpha3.SchemeGroupVersion.WithKind("EnvoyFilter"),
		securityv1.SchemeGroupVersion.WithKind("AuthorizationPolicy"),
		securityv1.SchemeGroupVersion.WithKind("PeerAuthentication"),
	}
}
