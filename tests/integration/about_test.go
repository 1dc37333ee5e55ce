// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/l7mp/mc-wan/pkg/about"
	"github.com/l7mp/mc-wan/pkg/controller"
)

// clusterProperties is the CRD of KEP-2149 as far as it matters here.
func clusterProperties(version string) *apiextensionsv1.CustomResourceDefinition {
	text := apiextensionsv1.JSONSchemaProps{Type: "string"}
	spec := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"value": text}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "clusterproperties." + about.Group,
			Annotations: map[string]string{"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements/pull/3084"},
		},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: about.Group,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: about.Kind, ListKind: about.Kind + "List", Plural: "clusterproperties", Singular: "clusterproperty"},
			Scope: apiextensionsv1.ClusterScoped,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": spec},
				}},
			}},
		},
	}
}

// TestClusterPropertyThatSaysAnotherID: the CRD comes while the controller runs; what the property says is told as long as
// it is another id than the controller's.
func TestClusterPropertyThatSaysAnotherID(t *testing.T) {
	f := newFleet(t, 1, func(o *controller.Options) { o.AboutRetry = 100 * time.Millisecond })
	one := f.members[0]
	one.policyIs("high", metav1.ConditionTrue, "Ready") // it runs without the CRD
	crds := envtest.CRDInstallOptions{MaxTime: patience(2 * time.Minute), CRDs: []*apiextensionsv1.CustomResourceDefinition{clusterProperties("v1beta1")}}
	if _, err := envtest.InstallCRDs(one.env.Config, crds); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := envtest.UninstallCRDs(one.env.Config, crds); err != nil {
			t.Error(err)
		}
	})
	property := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": about.Group + "/v1beta1", "kind": about.Kind,
		"metadata": map[string]any{"name": about.ClusterIDProperty},
		"spec":     map[string]any{"value": "cluster-77"},
	}}
	one.create(property)
	one.eventually(soon, "an event about the property", func() error {
		var list eventsv1.EventList
		if err := one.List(t.Context(), &list); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Reason == about.ReasonClusterID && e.Regarding.Kind == about.Kind && e.Regarding.Name == about.ClusterIDProperty && e.Type == corev1.EventTypeWarning {
				return nil
			}
		}
		return fmt.Errorf("%d events, none of them", len(list.Items))
	})
	one.eventually(soon, "a metric", func() error { return one.meshProblem(about.ReasonClusterID, true) })
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"value":"`+one.id+`"}}`))
	if err := one.Patch(context.WithoutCancel(t.Context()), property, patch); err != nil {
		t.Fatal(err)
	}
	one.eventually(soon, "no problem any more", func() error { return one.meshProblem(about.ReasonClusterID, false) })
}

// meshProblem looks whether the controller's metrics tell of a problem.
func (m *member) meshProblem(reason string, want bool) error {
	families, err := m.running.metrics.Gather()
	if err != nil {
		return err
	}
	got := false
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				got = got || family.GetName() == "mcwan_mesh_problem" && label.GetValue() == reason
			}
		}
	}
	if got != want {
		return fmt.Errorf("told: %v", got)
	}
	return nil
}
