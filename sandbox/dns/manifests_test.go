// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/network"
)

func TestManifests(t *testing.T) {
	data, err := Manifests(network.Plan{Slot: 1}.Cluster(2))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, o.GetKind()+" "+o.GetName())
		if o.GetKind() == "Service" {
			ips, _, err := unstructured.NestedStringSlice(o.Object, "spec", "clusterIPs")
			if diff := cmp.Diff([]string{"10.97.32.10", "fd6d:6377:1:102::a"}, ips); err != nil || diff != "" {
				t.Errorf("addresses of kube-dns (%v):\n%s", err, diff)
			}
		}
	}
	// the version of the chart's own copy of these kinds: an older one would be refused by a cluster that has newer objects
	if v := objects[0].GetLabels()["multicluster.x-k8s.io/release-version"]; v != "v0.5.2" {
		t.Errorf("MCS kinds are of %q", v)
	}
	want := []string{
		"CustomResourceDefinition serviceexports.multicluster.x-k8s.io",
		"CustomResourceDefinition serviceimports.multicluster.x-k8s.io",
		"ServiceAccount coredns", "ClusterRole system:coredns", "ClusterRoleBinding system:coredns",
		"ConfigMap coredns", "Deployment coredns", "Service kube-dns",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
