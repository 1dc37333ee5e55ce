// SPDX-License-Identifier: Apache-2.0

package mesh

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/pki"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func example(t *testing.T) *Mesh {
	t.Helper()
	c := network.Plan{Name: "mcw"}.Cluster(2)
	return &Mesh{Cluster: &cluster.Cluster{Cluster: c, Sandbox: "mcw", Dir: t.TempDir()}}
}

func TestOperatorGolden(t *testing.T) {
	got, err := example(t).Operator()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "istiooperator.yaml")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("rewrite with -update:\n%s", diff)
	}
}

// The Secret has the names that istiod looks for, and its certificates are those of the cluster.
func TestAuthoritySecret(t *testing.T) {
	m := example(t)
	if _, err := m.authority(); err == nil {
		t.Error("made without certificates")
	}
	root, err := pki.EnsureRoot(filepath.Join(t.TempDir(), "root"), "mcw", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.EnsureCluster(m.Cluster.PKIDir(), m.Cluster.Cluster, root, time.Now()); err != nil {
		t.Fatal(err)
	}
	manifests, err := m.authority()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Parse(manifests)
	if err != nil || len(objects) != 2 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	secret := objects[1]
	if secret.GetName() != "cacerts" || secret.GetNamespace() != "istio-system" {
		t.Errorf("secret %s/%s", secret.GetNamespace(), secret.GetName())
	}
	data := secret.Object["data"].(map[string]any)
	for _, key := range []string{"ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"} {
		if s, ok := data[key].(string); !ok || s == "" {
			t.Errorf("secret lacks %s", key)
		}
	}
}
