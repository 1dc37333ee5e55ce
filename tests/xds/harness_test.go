// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/log"
	"sigs.k8s.io/yaml"
)

const goldens = "../../pkg/translate/testdata"

func TestMain(m *testing.M) {
	for _, s := range log.Scopes() {
		s.SetOutputLevel(log.NoneLevel)
	}
	m.Run()
}

// cases are the names of package translate's goldens.
func cases(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(goldens + "/*/out.yaml")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no goldens in %s: %v", goldens, err)
	}
	var out []string
	for _, d := range dirs {
		out = append(out, filepath.Base(filepath.Dir(d)))
	}
	return out
}

// document is one YAML document with the head that says what it is.
type document struct {
	text       string
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

func (d document) String() string { return d.Kind + " " + d.Metadata.Namespace + "/" + d.Metadata.Name }

func (d document) istio() bool { return strings.Contains(d.APIVersion, ".istio.io/") }

func documents(t *testing.T, path ...string) []document {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return split(t, data)
}

func split(t *testing.T, data []byte) []document {
	t.Helper()
	var out []document
	for _, text := range strings.Split(string(data), "\n---\n") {
		d := document{text: text}
		if err := yaml.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func join(docs []document, keep func(document) bool) string {
	var out []string
	for _, d := range docs {
		if keep(d) {
			out = append(out, d.text)
		}
	}
	return strings.Join(out, "\n---\n")
}

// mesh is Istio's control plane of cluster-1 with a golden's objects in it.
type mesh struct {
	t *testing.T
	s *xds.FakeDiscoveryServer
}

// start brings up the control plane with what a case renders, what stands around it, and more Istio objects.
func start(t *testing.T, name string, more ...string) mesh {
	t.Helper()
	return startWith(t, documents(t, goldens, name, "in.yaml"), documents(t, goldens, name, "out.yaml"), more...)
}

// startWith brings up the control plane with what was rendered of what was written.
func startWith(t *testing.T, written, rendered []document, more ...string) mesh {
	t.Helper()
	return startIn(t, nil, written, rendered, more...)
}

// startIn is startWith in a mesh of that configuration; nil is Istio's default.
func startIn(t *testing.T, config *meshconfig.MeshConfig, written, rendered []document, more ...string) mesh {
	t.Helper()
	kubernetes := append(documents(t, "testdata", "around.yaml"), written...)
	kubernetes = append(kubernetes, rendered...)
	seen := map[string]bool{}
	objects := join(kubernetes, func(d document) bool {
		// The rendered mcw-ingress is a part of the chart's.
		wanted := !seen[d.String()] && (d.APIVersion == "v1" || d.APIVersion == "discovery.k8s.io/v1") && d.Kind != "Namespace"
		seen[d.String()] = true
		return wanted
	})
	configs := append([]string{join(rendered, document.istio)}, more...)
	return mesh{t, xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		KubernetesObjectString: objects,
		ConfigString:           strings.Join(configs, "\n---\n"),
		DefaultClusterName:     "cluster-1",
		MeshConfig:             config,
	})}
}

// gateway is a gateway's proxy: egress or ingress.
func (c mesh) gateway(kind, ip string) *model.Proxy {
	labels := map[string]string{"app": "mcw-" + kind, "mcw.l7mp.io/gateway": kind}
	return c.s.SetupProxy(&model.Proxy{
		Type: model.Router, ConfigNamespace: "mc-wan", Labels: labels, IPAddresses: []string{ip},
		Metadata: &model.NodeMetadata{Namespace: "mc-wan", Labels: labels, ClusterID: "cluster-1", ServiceAccount: "mcw-" + kind},
	})
}

func (c mesh) egress() proxy { return c.proxy(c.gateway("egress", "10.11.0.4")) }

func (c mesh) ingress() proxy { return c.proxy(c.gateway("ingress", "10.11.0.5")) }

// client is the proxy of a pod with a sidecar in a namespace.
func (c mesh) client(namespace, app, ip string) proxy {
	labels := map[string]string{"app": app}
	return c.proxy(c.s.SetupProxy(&model.Proxy{
		Type: model.SidecarProxy, ConfigNamespace: namespace, Labels: labels, IPAddresses: []string{ip},
		Metadata: &model.NodeMetadata{Namespace: namespace, Labels: labels, ClusterID: "cluster-1"},
	}))
}

// proxy is what Istio gives to one Envoy.
type proxy struct {
	mesh
	node *model.Proxy
	sim  *simulation.Simulation
}

func (c mesh) proxy(node *model.Proxy) proxy {
	return proxy{c, node, simulation.NewSimulation(c.t, c.s, node)}
}
