// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// writtenKinds are the kinds of which a controller writes whole objects.
func writtenKinds() []client.Object {
	return []client.Object{
		&v1alpha1.ServiceAdvertisement{}, &v1alpha1.ClusterAdvertisement{}, &mcsv1beta1.ServiceImport{},
		&networkingv1.ServiceEntry{}, &networkingv1.VirtualService{}, &networkingv1.Gateway{}, &networkingv1.DestinationRule{},
		&networkingv1alpha3.EnvoyFilter{}, &securityv1.AuthorizationPolicy{}, &securityv1.PeerAuthentication{},
		&discoveryv1.EndpointSlice{}, &corev1.Service{}, &corev1.ConfigMap{},
	}
}

func TestExportIsImportedEverywhere(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 2)
	two.export("payment", "high")

	for _, m := range f.members {
		si := m.imported("payment", two.id)
		if si.Spec.Type != mcsv1beta1.ClusterSetIP || len(si.Spec.Ports) != 1 || si.Spec.Ports[0].Port != 8080 {
			t.Errorf("%s: import %+v", m.id, si.Spec)
		}
		if si.Status.EndpointSliceObjects != mcsv1beta1.EndpointSliceObjectsPresent {
			t.Errorf("%s: endpointSliceObjects is %q", m.id, si.Status.EndpointSliceObjects)
		}
	}
	two.exportIs("payment", "Valid", metav1.ConditionTrue, "Valid")
	two.exportIs("payment", "Ready", metav1.ConditionTrue, "Ready")
	two.exportIs("payment", "Conflict", metav1.ConditionFalse, "NoConflicts")
	two.exportIs("payment", v1alpha1.ConditionWANPolicy, metav1.ConditionTrue, v1alpha1.ReasonResolved)

	// The path leads over the named policy to the exporter's gateway.
	key := translate.PathKey{Policy: "high", Exporter: two.id}
	path := &networkingv1.ServiceEntry{}
	one.eventually(soon, "path", func() error {
		return one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.PathName(key)}, path)
	})
	if e := path.Spec.Endpoints[0]; e.Address != two.gatewayAddress() || e.Ports["h2"] != 31111 {
		t.Errorf("first hop %v", e)
	}
}

func TestSecondExporterSharesTheLoad(t *testing.T) {
	f := joined(t, 3)
	one, two, three := f.members[0], f.members[1], f.members[2]
	two.service("payment", 3)
	two.export("payment", "high")
	before := one.imported("payment", two.id).Spec.IPs
	three.service("payment", 1)
	three.export("payment", "high")
	for _, m := range f.members {
		m.imported("payment", two.id, three.id)
	}
	if after := one.imported("payment", two.id, three.id).Spec.IPs; after[0] != before[0] {
		t.Errorf("the ClusterSetIP moved from %s to %s", before, after)
	}
	one.eventually(soon, "shares by ready backends", func() error {
		return one.sharesAre("payment", 8080, "cluster-2=75,cluster-3=25")
	})
}

func TestUnexportRemovesEverythingEverywhere(t *testing.T) {
	f := joined(t, 2)
	two := f.members[1]
	two.service("payment", 2)
	export := two.export("payment", "high")
	for _, m := range f.members {
		m.imported("payment", two.id)
	}
	two.remove(export)
	for _, m := range f.members {
		m.nothingLeft(2*soon, "payment")
		m.eventually(soon, "its path is gone", func() error {
			return m.gone(&networkingv1.ServiceEntry{}, v1alpha1.Namespace, translate.PathName(translate.PathKey{Policy: "high", Exporter: two.id}))
		})
	}
}

func TestServiceOfOneClusterWithoutPeers(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.service("payment", 1)
	export := one.export("payment", "")
	one.imported("payment", one.id)
	one.remove(export)
	one.nothingLeft(soon, "payment")
}

func TestNamespaceThatIsNotThereDoesNotImport(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	late := f.namespace + "-late"
	two.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: late}})
	f.namespace = late
	two.service("payment", 1)
	two.export("payment", "")
	two.imported("payment", two.id)
	one.eventually(soon, "advertisement", func() error {
		return one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.AdvertisementName(two.id, late, "payment")}, &v1alpha1.ServiceAdvertisement{})
	})
	if err := one.gone(&mcsv1beta1.ServiceImport{}, late, "payment"); err != nil {
		t.Error(err)
	}
	one.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: late}})
	one.imported("payment", two.id)
}
