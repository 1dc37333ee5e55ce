// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/pkg/controller"
	"github.com/l7mp/mc-wan/pkg/mcsapi"
)

// TestClusterThatServesOnlyV1alpha1: a cluster whose CRDs came with other, older software. The controller finds out by
// itself, also while it runs, and other clusters do not notice.
func TestClusterThatServesOnlyV1alpha1(t *testing.T) {
	f := joined(t, 2)
	one, old := f.members[0], f.members[1]
	old.service("payment", 2)
	old.export("payment", "high")
	vip := old.imported("payment", old.id).Spec.IPs[0]
	one.imported("payment", old.id)

	old.serveOnlyV1alpha1(t)
	select {
	case <-old.running.done:
	case <-time.After(patience(2 * soon)):
		t.Fatal("the controller goes on with a version that is not served")
	}
	if err := old.running.err; err == nil || !strings.Contains(err.Error(), "v1alpha1") {
		t.Errorf("the controller ended with: %v", err)
	}
	old.running = nil
	old.up()

	// What stood stands, what is new comes, what is told is told.
	one.service("ledger", 1)
	one.export("ledger", "")
	old.imported("ledger", one.id)
	if now := old.imported("payment", old.id).Spec.IPs[0]; now != vip {
		t.Errorf("the ClusterSetIP moved from %s to %s", vip, now)
	}
	old.service("stock", 1)
	export := old.export("stock", "high")
	old.exportIs("stock", "Valid", metav1.ConditionTrue, "Valid")
	old.exportIs("stock", "Ready", metav1.ConditionTrue, "Ready")
	one.imported("stock", old.id)
	old.imported("stock", old.id)

	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(mcsapi.API{Version: "v1alpha1"}.Kind(mcsv1beta1.ServiceImportKindName))
	if err := old.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "stock"}, raw); err != nil {
		t.Fatal(err)
	}
	status, _, _ := unstructured.NestedMap(raw.Object, "status")
	if _, there := status["endpointSliceObjects"]; there || status["clusters"] == nil {
		t.Errorf("status %v", status)
	}
	old.remove(export)
	old.nothingLeft(2*soon, "stock")
	one.nothingLeft(2*soon, "stock")
}

// TestClusterWithTheFirstCRDs: a cluster whose CRDs lack all that came later than v1alpha1's first release. What it has no
// field for it does without, and nothing is written again and again because it does not stay.
func TestClusterWithTheFirstCRDs(t *testing.T) {
	f := joined(t, 2)
	one, old := f.members[0], f.members[1]
	old.down()
	old.serveOnlyV1alpha1(t, func(schema map[string]apiextensionsv1.JSONSchemaProps) {
		for _, later := range []string{"ipFamilies", "internalTrafficPolicy", "trafficDistribution", "exportedLabels", "exportedAnnotations"} {
			delete(schema["spec"].Properties, later)
		}
	})
	old.up()
	for _, m := range f.members {
		m.exportAs("payment", clientIP(60), func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) {
			distribution := corev1.ServiceTrafficDistributionPreferClose
			s.Spec.TrafficDistribution = &distribution
		})
	}
	one.imported("payment", one.id, old.id)
	old.exportIs("payment", "Ready", metav1.ConditionTrue, "Ready")
	// It cannot say which labels travel, and the other does.
	for _, m := range f.members {
		m.exportIs("payment", "Conflict", metav1.ConditionTrue, "LabelsConflict,AnnotationsConflict")
	}
	old.eventually(soon, "the import", func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := old.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "payment"}, si); err != nil {
			return err
		}
		if len(si.Spec.IPs) != 1 || len(si.Spec.IPFamilies) > 0 || si.Spec.TrafficDistribution != nil || si.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
			return fmt.Errorf("spec %+v", si.Spec)
		}
		return hasCondition(si.Status.Conditions, si.Generation, "Ready", metav1.ConditionTrue, "Ready")
	})
	old.settled()
	before, writes := old.versions(), len(old.running.writes.all())
	old.always(2*time.Second, "nothing is written again", func() error {
		if lines := steady(old.running.writes.all()[writes:]); len(lines) > 0 {
			return fmt.Errorf("%v", lines)
		}
		if diff := difference(before, old.versions()); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// serveOnlyV1alpha1 has the cluster serve the MCS kinds as they were before v1beta1 and before status.endpointSliceObjects,
// until the test ends; trim takes more away.
func (m *member) serveOnlyV1alpha1(t *testing.T, trim ...func(map[string]apiextensionsv1.JSONSchemaProps)) {
	t.Helper()
	served := m.cluster
	before := map[string]apiextensionsv1.CustomResourceDefinitionSpec{}
	m.cluster = served.withVersion(t, "v1alpha1")
	t.Cleanup(func() {
		m.down()
		m.cluster = served
		served.editCRDs(t, func(crd *apiextensionsv1.CustomResourceDefinition) { crd.Spec = before[crd.Name] })
		m.serves("v1beta1")
	})
	served.editCRDs(t, func(crd *apiextensionsv1.CustomResourceDefinition) {
		before[crd.Name] = *crd.Spec.DeepCopy()
		for i := range crd.Spec.Versions {
			v := &crd.Spec.Versions[i]
			v.Served = v.Name == "v1alpha1"
			delete(v.Schema.OpenAPIV3Schema.Properties["status"].Properties, "endpointSliceObjects")
			for _, more := range trim {
				more(v.Schema.OpenAPIV3Schema.Properties)
			}
		}
	})
	m.serves("v1alpha1")
}

// serves waits until the API server says that it serves that version.
func (m *member) serves(version string) {
	m.fleet.t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(m.env.Config)
	if err != nil {
		m.fleet.t.Fatal(err)
	}
	m.eventually(2*soon, "it serves "+version, func() error {
		got, err := mcsapi.Served(d)
		if err == nil && got != version {
			err = fmt.Errorf("it serves %s", got)
		}
		return err
	})
}

// withVersion is the cluster for a client that knows that version of the MCS API.
func (c *cluster) withVersion(t *testing.T, version string) *cluster {
	t.Helper()
	scheme, err := controller.NewSchemeFor(version)
	if err != nil {
		t.Fatal(err)
	}
	out := *c
	if out.Client, err = client.New(c.env.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	return &out
}

func (c *cluster) editCRDs(t *testing.T, edit func(*apiextensionsv1.CustomResourceDefinition)) {
	t.Helper()
	scheme, err := controller.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(c.env.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	for _, plural := range []string{"serviceexports", "serviceimports"} {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		key := client.ObjectKey{Name: plural + "." + mcsv1beta1.GroupName}
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			if err := admin.Get(ctx, key, crd); err != nil {
				return err
			}
			edit(crd)
			return admin.Update(ctx, crd)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
