// SPDX-License-Identifier: Apache-2.0

package addon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/network"
)

func TestValues(t *testing.T) {
	c := network.Plan{Name: "mcw"}.Cluster(2)
	got, err := (&Addon{Cluster: &cluster.Cluster{Cluster: c}, Replicas: 2}).Values()
	if err != nil {
		t.Fatal(err)
	}
	want := `clusterID: cluster-2
gateways:
  ingress:
    service:
      ipFamilyPolicy: PreferDualStack
  pullPolicy: IfNotPresent
  replicas: 2
image:
  pullPolicy: IfNotPresent
  repository: docker.io/l7mp/mcwan-controller
  tag: dev
trustDomain: td-2
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestKindsOfAChart(t *testing.T) {
	chart := t.TempDir()
	if kinds, err := chartKinds(chart); err != nil || len(kinds) != 0 {
		t.Errorf("a chart without kinds: %q, %v", kinds, err)
	}
	if err := os.Mkdir(filepath.Join(chart, "crds"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a.yaml": "kind: A\napiVersion: v1", "b.yaml": "kind: B\napiVersion: v1\n", "README.md": "no kind"} {
		if err := os.WriteFile(filepath.Join(chart, "crds", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kinds, err := chartKinds(chart)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Parse(kinds)
	if err != nil || len(objects) != 2 || objects[0].GetKind() != "A" || objects[1].GetKind() != "B" {
		t.Errorf("%v, %v", objects, err)
	}
}
