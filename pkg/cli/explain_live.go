// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// liveState is what stands in a cluster, as far as answers depend on it.
func liveState(ctx context.Context, c Access) (*snapshot.Files, error) {
	own, err := c.self(ctx)
	if err != nil {
		return nil, err
	}
	var files []snapshot.File
	for _, list := range []struct {
		list client.ObjectList
		opts []client.ListOption
	}{
		{&v1alpha1.WANPolicyList{}, nil},
		{&v1alpha1.PeerList{}, inMCWAN()},
		{&v1alpha1.ClusterAdvertisementList{}, inMCWAN()},
		{&v1alpha1.ServiceAdvertisementList{}, inMCWAN()},
		{&mcsv1beta1.ServiceImportList{}, nil},
		{&mcwanv1alpha1.ServiceImportList{}, nil},
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
	return snapshot.Read(snapshot.Options{ClusterID: own.Spec.ClusterID, DummyServices: true}, files...)
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
