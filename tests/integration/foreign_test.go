// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

func TestObjectsOfOthersAreNotTakenOver(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	foreign := &mcsv1beta1.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "payment"},
		Spec:       mcsv1beta1.ServiceImportSpec{Type: mcsv1beta1.ClusterSetIP, Ports: []mcsv1beta1.ServicePort{{Port: 1, Protocol: corev1.ProtocolTCP}}},
	}
	one.create(foreign)
	entry := &networkingv1.ServiceEntry{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: translate.ServiceEntryName("ledger")},
		Spec:       networkingapi.ServiceEntry{Hosts: []string{"theirs.example"}, Ports: []*networkingapi.ServicePort{{Number: 1, Name: "tcp", Protocol: "TCP"}}, Resolution: networkingapi.ServiceEntry_NONE},
	}
	one.create(entry)
	for _, name := range []string{"payment", "ledger", "good"} {
		two.service(name, 1)
		two.export(name, "high")
	}
	one.imported("good", two.id)
	one.toldForeign("ServiceImport", "payment")
	one.toldForeign("ServiceEntry", entry.Name)
	one.always(time.Second, "theirs stays theirs", func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := one.Get(t.Context(), client.ObjectKeyFromObject(foreign), si); err != nil {
			return err
		}
		se := &networkingv1.ServiceEntry{}
		if err := one.Get(t.Context(), client.ObjectKeyFromObject(entry), se); err != nil {
			return err
		}
		if si.ResourceVersion != foreign.ResourceVersion || se.ResourceVersion != entry.ResourceVersion {
			return fmt.Errorf("import %+v, entry %+v", si.Spec, se.Spec.Hosts)
		}
		return one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "ledger")
	})

	one.remove(foreign)
	one.imported("payment", two.id)
	one.remove(entry)
	one.imported("ledger", two.id)
}

// toldForeign waits for the Event that says that an object is in the way.
func (m *member) toldForeign(kind, name string) {
	m.fleet.t.Helper()
	m.told(kind+" "+name+" is in the way", func(e eventsv1.Event) bool {
		return e.Reason == "NotManaged" && e.Regarding.Kind == kind && e.Regarding.Namespace == m.fleet.namespace && e.Regarding.Name == name
	})
}

func TestAdvertisementsWrittenByHandAreKept(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	labels := func(part string) map[string]string {
		return map[string]string{v1alpha1.LabelSourceCluster: "elsewhere", v1alpha1.LabelManual: "true", v1alpha1.LabelPart: part}
	}
	one.create(&v1alpha1.ServiceAdvertisement{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "by-hand", Labels: labels(v1alpha1.PartAdvertisement)},
		Spec: v1alpha1.ServiceAdvertisementSpec{
			ClusterID: "elsewhere", Namespace: f.namespace, Name: "far", ExportedAt: metav1.Now(), Type: "ClusterSetIP",
			Ports: []v1alpha1.AdvertisedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, ReadyBackends: 1}},
		},
	}, &v1alpha1.ClusterAdvertisement{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "elsewhere", Labels: labels(v1alpha1.PartCard)},
		Spec: v1alpha1.ClusterAdvertisementSpec{
			ClusterID: "elsewhere", ClusterUID: "x", Generation: 1, Addresses: []string{"10.99.0.5"},
			Identities: v1alpha1.Identities{Egress: "spiffe://td-9/ns/mc-wan/sa/mcw-egress", Ingress: "spiffe://td-9/ns/mc-wan/sa/mcw-ingress"},
			Policies:   []v1alpha1.OfferedPolicy{{Name: "default", Tunnel: "internet", Port: 31110}},
		},
	})
	one.imported("far", "elsewhere")
	one.down()
	one.up()
	one.readsPeers(1)
	one.always(time.Second, "what was written by hand stays", func() error {
		return one.isImported(&mcsv1beta1.ServiceImport{}, "far", "elsewhere")
	})
	if err := two.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "far"); err != nil {
		t.Error(err)
	}
}

// Kubernetes makes EndpointSlices for the derived Service and copies its labels to them: they are not ours to prune.
func TestSlicesOfDerivedServicesStay(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	derived := &corev1.Service{}
	if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.DerivedServiceName(f.namespace, "payment")}, derived); err != nil {
		t.Fatal(err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: derived.Name + "-x", Labels: derived.Labels},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	if err := controllerutil.SetControllerReference(derived, slice, one.Scheme()); err != nil {
		t.Fatal(err)
	}
	one.create(slice)
	two.service("ledger", 1)
	two.export("ledger", "high")
	one.imported("ledger", two.id)
	one.always(time.Second, "the slice stays", func() error {
		return one.Get(t.Context(), client.ObjectKeyFromObject(slice), &discoveryv1.EndpointSlice{})
	})
}
