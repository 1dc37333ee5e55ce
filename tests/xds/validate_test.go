// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"strings"
	"testing"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/analysis/analyzers"
	"istio.io/istio/pkg/config/analysis/diag"
	"istio.io/istio/pkg/config/analysis/local"
	"istio.io/istio/pkg/config/schema/collections"
)

// expectedWarning comes with every EnvoyFilter.
const expectedWarning = "EnvoyFilter exposes internal implementation details"

// Every object passes the validation of Istio's own admission webhook.
func TestIstioValidation(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			objects, other, err := crd.ParseInputs(join(documents(t, goldens, name, "out.yaml"), document.istio))
			if err != nil || len(other) > 0 || len(objects) == 0 {
				t.Fatalf("%d objects, not understood: %v, %v", len(objects), other, err)
			}
			for _, o := range objects {
				schema, ok := collections.Pilot.FindByGroupVersionKind(o.GroupVersionKind)
				if !ok {
					t.Fatalf("no schema of %v", o.GroupVersionKind)
				}
				warning, err := schema.ValidateConfig(o)
				if err != nil {
					t.Errorf("%v: %v", o.Meta, err)
				}
				if warning != nil && !strings.Contains(warning.Error(), expectedWarning) {
					t.Errorf("%s %s: %v", o.GroupVersionKind.Kind, o.Name, warning)
				}
			}
		})
	}
}

// `istioctl analyze` finds nothing in what we write.
func TestIstioAnalyzers(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			sa := local.NewSourceAnalyzer(analyzers.AllCombined(), "", "istio-system", nil)
			text := join(append(documents(t, "testdata", "around.yaml"), documents(t, goldens, name, "out.yaml")...), func(d document) bool {
				return d.istio() || d.APIVersion == "v1" && d.Metadata.Name != "" && (d.Kind != "Service" || strings.Contains(d.text, "selector"))
			})
			if err := sa.AddReaderKubeSource([]local.ReaderSource{{Name: name, Reader: strings.NewReader(text)}}); err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			defer close(stop)
			result, err := sa.Analyze(stop)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range result.Messages {
				if m.Type.Level().IsWorseThanOrEqualTo(diag.Warning) && !strings.Contains(m.String(), expectedWarning) {
					t.Error(m.String())
				}
			}
		})
	}
}

// What Istio makes of every case is configuration that Envoy takes.
func TestEnvoyTakesIt(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			c := start(t, name)
			for _, p := range []proxy{c.egress(), c.ingress(), c.client("secure", "client", "10.11.1.9")} {
				xdstest.ValidateListeners(t, p.sim.Listeners)
				xdstest.ValidateClusters(t, p.sim.Clusters)
				xdstest.ValidateRouteConfigurations(t, p.sim.Routes)
				xdstest.ValidateClusterLoadAssignments(t, c.s.Endpoints(p.node))
			}
		})
	}
}
