// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// settled waits until every hop has been measured and nothing is written for a while.
func (m *member) settled() {
	m.fleet.t.Helper()
	last, since := m.versions(), time.Now()
	m.eventually(3*soon, "nothing is written any more", func() error {
		err := m.measured()
		if now := m.versions(); err != nil || !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
		if quiet := time.Since(since); err == nil && quiet < time.Second {
			return fmt.Errorf("quiet for %s only", quiet)
		}
		return err
	})
}

// measured tells whether the status of every Peer says what was found of its hops.
func (m *member) measured() error {
	var peers v1alpha1.PeerList
	if err := m.List(m.fleet.t.Context(), &peers); err != nil {
		return err
	}
	for _, p := range peers.Items {
		for _, h := range p.Status.Hops {
			if h.Reason == v1alpha1.ReasonNotMeasured {
				return fmt.Errorf("hop %s to %s is not measured", h.Policy, p.Name)
			}
		}
	}
	return nil
}

// readsPeers waits until a process has read the feeds of its peers.
func (m *member) readsPeers(n int) {
	m.fleet.t.Helper()
	m.eventually(soon, "peers are read", func() error {
		families, err := m.running.metrics.Gather()
		if err != nil {
			return err
		}
		synced := 0
		for _, family := range families {
			if family.GetName() == "mcwan_peer_synced" {
				for _, metric := range family.GetMetric() {
					synced += int(metric.GetGauge().GetValue())
				}
			}
		}
		if synced != n {
			return fmt.Errorf("%d peers are read, want %d", synced, n)
		}
		return nil
	})
}

func TestRestartWritesNothing(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	for _, m := range f.members {
		m.service("payment", 2)
		m.create(service(f.namespace, "ledger", corev1.ServicePort{Name: "tcp-db", Port: 5432, TargetPort: intstr.FromInt32(5432)}))
		m.create(slice(f.namespace, "ledger", 5432, "10.9.9.9"))
		m.export("payment", "high")
		m.export("ledger", "")
	}
	for _, m := range f.members {
		m.imported("payment", one.id, two.id)
		m.imported("ledger", one.id, two.id)
	}
	one.settled()
	two.settled()

	before := one.versions()
	one.down()
	one.up()
	one.readsPeers(1)
	one.always(2*time.Second, "nothing changes", func() error {
		if diff := difference(before, one.versions()); diff != "" {
			return fmt.Errorf("%s", diff)
		}
		return nil
	})
	// An announcement of the unchanged card is no write; nothing else is sent either.
	if lines := steady(one.running.writes.all()); len(lines) != 0 {
		t.Errorf("%d writing requests after a restart: %v", len(lines), lines)
	}
}

func difference(before, after map[string]string) string {
	for key, version := range before {
		if after[key] != version {
			return fmt.Sprintf("%s changed from %s to %s", key, version, after[key])
		}
	}
	for key := range after {
		if _, ok := before[key]; !ok {
			return key + " is new"
		}
	}
	return ""
}

func TestWhatChangedWhileNobodyLookedIsDone(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 2)
	export := two.export("payment", "high")
	two.service("ledger", 1)
	one.imported("payment", two.id)

	one.down()
	two.down()
	two.remove(export)
	two.export("ledger", "")
	leg := &networkingv1.VirtualService{}
	if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.LegName(f.namespace, "payment", 8080)}, leg); err != nil {
		t.Fatal(err)
	}
	one.remove(leg)
	two.up()
	one.up()
	for _, m := range f.members {
		m.nothingLeft(2*soon, "payment")
		m.imported("ledger", two.id)
	}
}

func TestDriftIsRepaired(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 2)
	two.export("payment", "high")
	si := one.imported("payment", two.id)

	legKey := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.LegName(f.namespace, "payment", 8080)}
	leg := &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Namespace: legKey.Namespace, Name: legKey.Name}}
	change(one, leg, func(vs *networkingv1.VirtualService) { vs.Spec.Hosts = []string{"hijacked.example"} })
	one.eventually(soon, "the leg is put right", func() error {
		if err := one.Get(t.Context(), legKey, leg); err != nil {
			return err
		}
		if leg.Spec.Hosts[0] == "hijacked.example" {
			return fmt.Errorf("hosts %v", leg.Spec.Hosts)
		}
		return nil
	})

	vip := si.Spec.IPs[0]
	one.remove(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: translate.DerivedServiceName(f.namespace, "payment")}})
	one.eventually(soon, "the derived Service is back with the address of the import", func() error {
		derived := &corev1.Service{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.DerivedServiceName(f.namespace, "payment")}, derived); err != nil {
			return err
		}
		if derived.Spec.ClusterIP != vip {
			return fmt.Errorf("address %s, was %s", derived.Spec.ClusterIP, vip)
		}
		return one.isImported(&mcsv1beta1.ServiceImport{}, "payment", two.id)
	})
	one.settled()
}
