// SPDX-License-Identifier: Apache-2.0

// Package mcsapi finds out which version of the Multi-Cluster Services API a cluster serves, and has the Go types of v1beta1
// stand for it: v1alpha1 and v1beta1 have the same fields (sigs.k8s.io/mcs-api v0.5), and a cluster may serve either one alone.
//
// CRDs that other software installed may be older than the types. Fields that they do not know make a server-side apply
// fail as a whole, so they are left out; see API.Trim.
package mcsapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi3"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// Versions are the versions that are known, the preferred one first.
func Versions() []string { return []string{mcsv1beta1.GroupVersion.Version, "v1alpha1"} }

// ErrNotServed says that a cluster serves no version that is known.
var ErrNotServed = errors.New("the API server serves neither v1beta1 nor v1alpha1 of ServiceExport and ServiceImport (multicluster.x-k8s.io): install their CRDs, such as those in the chart's folder crds")

// API is the Multi-Cluster Services API as one cluster serves it.
type API struct {
	// Version is served for both kinds.
	Version string
	// fields are the known fields of spec and status by kind and by one of these; nil where the schema could not be read.
	fields map[string]map[string][]string
}

// Discover asks a cluster. That nothing is known of it is an error, never a cluster without exports.
func Discover(client discovery.DiscoveryInterface) (API, error) {
	version, err := Served(client)
	if err != nil {
		return API{}, err
	}
	return API{Version: version, fields: fields(client, version)}, nil
}

// Served is the version in which a cluster serves both kinds: the preferred one of those that it serves.
func Served(client discovery.DiscoveryInterface) (string, error) {
	for _, version := range Versions() {
		found, err := client.ServerResourcesForGroupVersion(groupVersion(version).String())
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("asking which version of %s is served: %w", mcsv1beta1.GroupName, err)
		}
		serves := func(kind string) bool {
			return slices.ContainsFunc(found.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind })
		}
		if serves(mcsv1beta1.ServiceExportKindName) && serves(mcsv1beta1.ServiceImportKindName) {
			return version, nil
		}
	}
	return "", ErrNotServed
}

func groupVersion(version string) schema.GroupVersion {
	return schema.GroupVersion{Group: mcsv1beta1.GroupName, Version: version}
}

// AddToScheme registers the Go types of v1beta1 for the version that is served, and for no other: clients then read and
// write that one.
func AddToScheme(version string) func(*runtime.Scheme) error {
	return func(scheme *runtime.Scheme) error {
		gv := groupVersion(version)
		scheme.AddKnownTypes(gv,
			&mcsv1beta1.ServiceExport{}, &mcsv1beta1.ServiceExportList{}, &mcsv1beta1.ServiceImport{}, &mcsv1beta1.ServiceImportList{})
		metav1.AddToGroupVersion(scheme, gv)
		return nil
	}
}

// Kind is one of the kinds in the version that is served.
func (a API) Kind(kind string) schema.GroupVersionKind {
	return groupVersion(a.Version).WithKind(kind)
}

// Trim takes out of content, an object of one of the kinds, the fields of spec and status that the cluster's schema lacks.
func (a API) Trim(content map[string]any) {
	apiVersion, _ := content["apiVersion"].(string)
	kind, _ := content["kind"].(string)
	if gv, err := schema.ParseGroupVersion(apiVersion); err != nil || gv.Group != mcsv1beta1.GroupName {
		return
	}
	for part, known := range a.fields[kind] {
		stated, _ := content[part].(map[string]any)
		for field := range stated {
			if !slices.Contains(known, field) {
				delete(stated, field)
			}
		}
	}
}

// fields reads the schemas that the API server publishes. Where it does not, all fields are taken to be known, and a
// write of one that is not says so.
func fields(client discovery.DiscoveryInterface, version string) map[string]map[string][]string {
	doc, err := openapi3.NewRoot(client.OpenAPIV3()).GVSpec(groupVersion(version))
	if err != nil || doc.Components == nil {
		return nil
	}
	out := map[string]map[string][]string{}
	for _, kind := range []string{mcsv1beta1.ServiceExportKindName, mcsv1beta1.ServiceImportKindName} {
		object := doc.Components.Schemas["io.x-k8s.multicluster."+version+"."+kind]
		if object == nil {
			continue
		}
		out[kind] = map[string][]string{}
		for _, part := range []string{"spec", "status"} {
			if known := slices.Sorted(maps.Keys(object.Properties[part].Properties)); len(known) > 0 {
				out[kind][part] = known
			}
		}
	}
	return out
}
