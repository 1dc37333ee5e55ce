// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/explain"
	"github.com/l7mp/mc-wan/pkg/mesh"
	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// liveState is what stands in a cluster, as far as answers depend on it.
func liveState(ctx context.Context, c Access) (*snapshot.Files, error) {
	own, err := c.self(ctx)
	if err != nil {
		return nil, err
	}
	var files []snapshot.File
	imports := &mcsv1beta1.ServiceImportList{}
	for _, list := range []struct {
		list client.ObjectList
		opts []client.ListOption
	}{
		{&v1alpha1.WANPolicyList{}, nil},
		{&v1alpha1.PeerList{}, inMCWAN()},
		{&v1alpha1.ClusterAdvertisementList{}, inMCWAN()},
		{&v1alpha1.ServiceAdvertisementList{}, inMCWAN()},
		{&corev1.NamespaceList{}, nil},
		{imports, nil},
		{&mcwanv1alpha1.ServiceImportList{}, nil},
		{&mcwanv1alpha1.ServiceExportList{}, nil},
		{&corev1.ServiceList{}, inMCWAN()},
		// The shares in use stand in annotations.
		{partial("networking.istio.io", "v1", "VirtualServiceList"), inMCWAN()},
		{partial("networking.istio.io", "v1", "ServiceEntryList"), inMCWAN()},
	} {
		if err := c.List(ctx, list.list, list.opts...); err != nil {
			return nil, c.explain(fmt.Sprintf("listing %T", list.list), err)
		}
		file, err := listFile(c, list.list)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return snapshot.Read(snapshot.Options{ClusterID: own.Spec.ClusterID, DummyServices: makesDummies(imports.Items)}, files...)
}

// makesDummies tells whether the controller makes dummy Services: the imports that may have some then carry a condition
// about them, and none does where they are switched off.
func makesDummies(imports []mcsv1beta1.ServiceImport) bool {
	return slices.ContainsFunc(imports, func(i mcsv1beta1.ServiceImport) bool {
		return meta.FindStatusCondition(i.Status.Conditions, v1alpha1.ConditionDummyServices) != nil
	})
}

// liveMesh completes what flags say by what stands in a cluster.
func liveMesh(ctx context.Context, c Access, out explain.Mesh) (explain.Mesh, error) {
	out.Live = true
	if out.PathNormalization == "" {
		normalization, err := pathNormalization(ctx, c)
		if err != nil {
			return out, err
		}
		out.PathNormalization = normalization
	}
	var list networkingv1.VirtualServiceList
	if err := c.List(ctx, &list); err != nil && !apierrors.IsForbidden(err) {
		return out, c.explain("listing VirtualServices", err)
	}
	for _, vs := range list.Items {
		if vs.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ValueManagedBy {
			out.VirtualServices = append(out.VirtualServices, explain.VirtualService{
				Namespace: vs.Namespace, Name: vs.Name, Hosts: vs.Spec.Hosts, Gateways: vs.Spec.Gateways,
			})
		}
	}
	return out, nil
}

// pathNormalization is how the mesh has Envoy read paths; Istio's default where its configuration is not where istioctl puts
// it, or may not be read.
func pathNormalization(ctx context.Context, c Access) (string, error) {
	var config corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: "istio-system", Name: mesh.ConfigMapName("")}, &config)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return "", nil
	case err != nil:
		return "", c.explain("reading the mesh configuration", err)
	}
	return mesh.PathNormalization(config.Data)
}

func inMCWAN() []client.ListOption {
	return []client.ListOption{client.InNamespace(v1alpha1.Namespace)}
}

func partial(group, version, kind string) client.ObjectList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	return list
}

// listFile is a list as a file, each item with its kind.
func listFile(c Access, list client.ObjectList) (snapshot.File, error) {
	gvk, err := apiutil.GVKForObject(list, c.Scheme())
	if err != nil {
		return snapshot.File{}, err
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	items, err := meta.ExtractList(list)
	if err != nil {
		return snapshot.File{}, err
	}
	var data bytes.Buffer
	for _, item := range items {
		item.GetObjectKind().SetGroupVersionKind(gvk)
		text, err := yaml.Marshal(item)
		if err != nil {
			return snapshot.File{}, err
		}
		data.WriteString("---\n")
		data.Write(text)
	}
	return snapshot.File{Name: gvk.Kind, Data: data.Bytes()}, nil
}
