// SPDX-License-Identifier: Apache-2.0

// Package about reads what a cluster says of itself by ClusterProperty objects (KEP-2149, group about.k8s.io), which a
// cluster may or may not serve. mc-wan does not take its cluster id from there, since an id is for life and the property
// may come and go; it tells where the two differ.
package about

import (
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/l7mp/mc-wan/pkg/mesh"
)

const (
	// Group is the API group of ClusterProperty.
	Group = "about.k8s.io"
	// Kind is the kind.
	Kind = "ClusterProperty"
	// ClusterIDProperty is the name of the property that holds the cluster's id, README of KEP-2149, "Well known properties".
	// KEP-1645 still has its former name, id.k8s.io.
	ClusterIDProperty = "cluster.clusterset.k8s.io"
	// ReasonClusterID is the reason of the problem that the property has another id than the controller.
	ReasonClusterID = "ClusterIDMismatch"
)

// Versions are the versions that are known, the preferred one first. They have the same fields.
func Versions() []string { return []string{"v1beta1", "v1alpha1"} }

// Served is the kind in the version in which a cluster serves it, the preferred one of several; empty for none.
func Served(client discovery.DiscoveryInterface) (schema.GroupVersionKind, error) {
	for _, version := range Versions() {
		gv := schema.GroupVersion{Group: Group, Version: version}
		found, err := client.ServerResourcesForGroupVersion(gv.String())
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return schema.GroupVersionKind{}, fmt.Errorf("asking whether %s is served: %w", Group, err)
		}
		if slices.ContainsFunc(found.APIResources, func(r metav1.APIResource) bool { return r.Kind == Kind }) {
			return gv.WithKind(Kind), nil
		}
	}
	return schema.GroupVersionKind{}, nil
}

// Problem is what is wrong with a ClusterProperty for a cluster with that id; nil for nothing.
func Problem(clusterID string, property *unstructured.Unstructured) *mesh.Problem {
	value, _, _ := unstructured.NestedString(property.Object, "spec", "value")
	if property.GetName() != ClusterIDProperty || value == clusterID {
		return nil
	}
	return &mesh.Problem{Reason: ReasonClusterID, Message: fmt.Sprintf(
		"ClusterProperty %s says that this cluster is %q, mc-wan was installed with clusterID %s, which is what peers and names in DNS know it by: "+
			"change the property, or install mc-wan with that id and join anew",
		ClusterIDProperty, short(value), clusterID)}
}

// short keeps a value, which may have 128,000 characters, fit for a message.
func short(value string) string {
	const most = 128
	if len(value) > most {
		return value[:most] + "..."
	}
	return value
}
