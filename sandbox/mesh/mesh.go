// SPDX-License-Identifier: Apache-2.0

package mesh

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/fingerprint"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/pki"
	"github.com/l7mp/mc-wan/sandbox/state"
	"github.com/l7mp/mc-wan/sandbox/tool"
)

// Namespace and Deployment are istiod's.
const (
	Namespace  = "istio-system"
	Deployment = "istiod"
)

//go:embed istiooperator.yaml.tmpl
var operatorTemplate string

// TrustDomain is the trust domain of a cluster: td-1 for cluster-1.
func TrustDomain(index int) string { return "td-" + strconv.Itoa(index) }

// Mesh is Istio in one cluster.
type Mesh struct {
	Cluster *cluster.Cluster
	// Log receives istioctl's output.
	Log io.Writer
}

// Operator is the installation's IstioOperator, as YAML.
func (m *Mesh) Operator() ([]byte, error) {
	t, err := template.New("istiooperator.yaml").Parse(operatorTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, struct{ Hub, Tag, TrustDomain, Sandbox, ClusterName string }{
		artifacts.IstioHub, artifacts.IstioTag, TrustDomain(m.Cluster.Index), m.Cluster.Sandbox, m.Cluster.Name,
	})
	return out.Bytes(), err
}

// Install runs istioctl unless the same installation is there already, and returns when istiod is available.
func (m *Mesh) Install(ctx context.Context, client *kube.Client) error {
	operator, err := m.Operator()
	if err != nil {
		return err
	}
	file := filepath.Join(m.Cluster.Dir, "config", "istiooperator.yaml")
	if err := state.WriteFile(file, operator, 0o600); err != nil {
		return err
	}
	print, err := fingerprint.Of(fingerprint.Bytes(operator), fingerprint.Stat(m.istioctl()))
	if err != nil {
		return err
	}
	mark := fingerprint.Mark{File: filepath.Join(m.Cluster.Dir, "istio.installed")}
	installed, err := client.HasDeployment(ctx, Namespace, Deployment)
	if err != nil {
		return err
	}
	if !installed || !mark.Is(print) {
		if err := m.run(ctx, client, file); err != nil {
			return err
		}
		if err := mark.Set(print); err != nil {
			return err
		}
	}
	return client.WaitDeployment(ctx, Namespace, Deployment)
}

func (m *Mesh) istioctl() string { return filepath.Join(m.Cluster.Artifacts.BinDir, "istioctl") }

func (m *Mesh) run(ctx context.Context, client *kube.Client, file string) error {
	secret, err := m.authority()
	if err != nil {
		return err
	}
	if err := client.Apply(ctx, secret); err != nil {
		return err
	}
	return tool.Run(ctx, m.Log, m.istioctl(), "--kubeconfig", m.Cluster.Kubeconfig(), "install", "--skip-confirmation",
		"--manifests", m.Cluster.Artifacts.IstioManifests, "--filename", file, "--readiness-timeout", "10m")
}

// authority is the Secret from which istiod takes its certificate authority (istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert).
func (m *Mesh) authority() ([]byte, error) {
	read := func(name string) []byte {
		data, rerr := os.ReadFile(filepath.Join(m.Cluster.PKIDir(), name))
		if rerr != nil {
			return nil
		}
		return data
	}
	cert, key, root := read(pki.MeshCert), read(pki.MeshKey), read(pki.MeshRootCert)
	if cert == nil || key == nil || root == nil {
		return nil, errors.New("the cluster's mesh certificates are missing; run mcwan-sandbox down and up")
	}
	namespace, err1 := yaml.Marshal(&corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: Namespace},
	})
	secret, err2 := yaml.Marshal(&corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "cacerts", Namespace: Namespace},
		Data: map[string][]byte{
			"ca-cert.pem": cert, "ca-key.pem": key, "root-cert.pem": root, "cert-chain.pem": append(bytes.Clone(cert), root...),
		},
	})
	return fmt.Appendf(nil, "%s---\n%s", namespace, secret), errors.Join(err1, err2)
}
