// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/l7mp/mc-wan/sandbox/network"
)

// testClusters makes the PKI of two clusters below one root and returns their folders.
func testClusters(t *testing.T) []string {
	t.Helper()
	base := t.TempDir()
	root, err := EnsureRoot(filepath.Join(base, "root"), "mcw", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, c := range (network.Plan{Name: "mcw"}).Clusters(2) {
		dir := filepath.Join(base, c.Name)
		if err := EnsureCluster(dir, c, root, time.Now()); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

func loadCert(t *testing.T, path ...string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := parseCert(data)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func TestAPIServerIsVerifiedByItsOwnClusterOnly(t *testing.T) {
	dirs := testClusters(t)
	server := loadCert(t, dirs[0], "apiserver.crt")
	for _, host := range []string{"198.18.0.6", "10.96.16.1", "127.0.0.1", "kubernetes.default.svc"} {
		if _, err := server.Verify(x509.VerifyOptions{DNSName: host, Roots: pool(loadCert(t, dirs[0], caCert))}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: pool(loadCert(t, dirs[1], caCert))}); err == nil {
		t.Error("another cluster's authority verifies it")
	}
}

func TestMeshesOfAllClustersShareARoot(t *testing.T) {
	dirs := testClusters(t)
	for _, dir := range dirs {
		data, err1 := os.ReadFile(filepath.Join(dir, MeshCert))
		key, err2 := os.ReadFile(filepath.Join(dir, MeshKey))
		mesh, err3 := ParseAuthority(Pair{Cert: data, Key: key})
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		leaf, err := mesh.Issue(Subject{CommonName: "workload"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		cert, err := parseCert(leaf.Cert)
		if err != nil {
			t.Fatal(err)
		}
		opts := x509.VerifyOptions{Roots: pool(loadCert(t, dirs[0], MeshRootCert)), Intermediates: pool(mesh.cert)}
		if _, err := cert.Verify(opts); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if loadCert(t, dirs[0], MeshCert).Equal(loadCert(t, dirs[1], MeshCert)) {
		t.Error("two clusters have the same intermediate")
	}
}

func TestIdentitiesThatKubernetesExpects(t *testing.T) {
	dir := testClusters(t)[0]
	type subject struct {
		CN     string
		Groups []string
	}
	got := map[string]subject{}
	for _, u := range users() {
		c := loadCert(t, dir, u+".crt")
		got[u] = subject{c.Subject.CommonName, c.Subject.Organization}
	}
	want := map[string]subject{
		"admin":                   {"kubernetes-admin", []string{"system:masters"}},
		"node":                    {"system:node:cluster-1", []string{"system:nodes"}},
		"kube-controller-manager": {"system:kube-controller-manager", nil},
		"kube-scheduler":          {"system:kube-scheduler", nil},
		"kube-proxy":              {"system:kube-proxy", nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEnsureKeepsWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	first, err1 := EnsureRoot(dir, "mcw", time.Now())
	second, err2 := EnsureRoot(dir, "mcw", time.Now())
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if string(first.Key) != string(second.Key) {
		t.Error("a second run made another root")
	}
}

func TestMergedKubeconfigHasAContextPerCluster(t *testing.T) {
	var files []string
	for _, d := range testClusters(t) {
		files = append(files, filepath.Join(d, AdminKubeconfig))
	}
	data, err := MergeAdmin(files)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := clientcmd.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	if merged.CurrentContext != "cluster-1" || len(merged.Contexts) != 2 {
		t.Fatalf("current %q of %d contexts", merged.CurrentContext, len(merged.Contexts))
	}
	for name, server := range map[string]string{"cluster-1": "https://198.18.0.6:6443", "cluster-2": "https://198.18.0.10:6443"} {
		c, err := clientcmd.NewNonInteractiveClientConfig(*merged, name, nil, nil).ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		if c.Host != server || len(c.KeyData) == 0 {
			t.Errorf("%s: server %s, key of %d bytes", name, c.Host, len(c.KeyData))
		}
	}
}
