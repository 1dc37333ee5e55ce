// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// wayIn reads the VirtualService of the ingress gateway for a service port.
func (m *member) wayIn(name string, port int32) error {
	return m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.ExportName(translate.WireKey{Namespace: m.fleet.namespace, Name: name, Port: port})}, &networkingv1.VirtualService{})
}

func TestRouteStaysUntilNobodyReliesOnIt(t *testing.T) {
	f := joined(t, 3, func(o *controller.Options) { o.DrainDeadline = time.Hour })
	one, two, three := f.members[0], f.members[1], f.members[2]
	two.service("payment", 1)
	export := two.export("payment", "high")
	three.service("payment", 1)
	three.export("payment", "high")
	one.imported("payment", two.id, three.id)
	one.eventually(soon, "both have a share", func() error { return one.sharesAre("payment", 8080, "cluster-2=50,cluster-3=50") })

	two.remove(export)
	two.eventually(soon, "the way in is gone, and nobody uses it when it goes", func() error {
		gone := two.wayIn("payment", 8080) != nil
		if err := one.sharesAre("payment", 8080, "cluster-3=100"); err != nil {
			if gone {
				t.Fatalf("the way in went while cluster-1 used it: %v", err)
			}
			return err
		}
		if !gone {
			return fmt.Errorf("the way in stands")
		}
		return nil
	})
	one.imported("payment", three.id)
}

func TestRouteGoesAtTheDeadline(t *testing.T) {
	f := joined(t, 2, func(o *controller.Options) { o.DrainDeadline, o.AckSettle = 10*time.Second, time.Hour })
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	export := two.export("payment", "high")
	one.imported("payment", two.id)
	two.remove(export)
	two.eventually(soon, "it says that it is draining, until when", func() error {
		adv := &v1alpha1.ServiceAdvertisement{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.AdvertisementName(two.id, f.namespace, "payment")}, adv); err != nil {
			return err
		}
		if !adv.Spec.Draining || adv.Spec.DrainDeadline == nil {
			return fmt.Errorf("advertised %+v", adv.Spec)
		}
		return nil
	})
	for _, m := range f.members {
		m.nothingLeft(soon, "payment")
	}
}

func TestExportThatComesBackWhileDrainingStays(t *testing.T) {
	f := joined(t, 2, func(o *controller.Options) { o.DrainDeadline, o.AckSettle = 3*time.Second, time.Hour })
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	export := two.export("payment", "high")
	vip := one.imported("payment", two.id).Spec.IPs[0]
	two.remove(export)
	two.export("payment", "high")
	two.eventually(soon, "it is not draining", func() error {
		adv := &v1alpha1.ServiceAdvertisement{}
		key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.AdvertisementName(two.id, f.namespace, "payment")}
		if err := one.Get(t.Context(), key, adv); err != nil {
			return err
		}
		if adv.Spec.Draining {
			return fmt.Errorf("draining")
		}
		return nil
	})
	one.always(4*time.Second, "the import stays, under its address", func() error {
		si := one.imported("payment", two.id)
		if si.Spec.IPs[0] != vip {
			return fmt.Errorf("address %s, was %s", si.Spec.IPs[0], vip)
		}
		return two.wayIn("payment", 8080)
	})
}

func TestWayToAChangedPortStaysForAWhile(t *testing.T) {
	f := joined(t, 2, func(o *controller.Options) { o.DrainDeadline = 15 * time.Second })
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	svc := service(f.namespace, "payment")
	change(two, svc, func(s *corev1.Service) { s.Spec.Ports[0].Port = 9090 })
	two.eventually(soon, "the way to the new port", func() error { return two.wayIn("payment", 9090) })
	if err := two.wayIn("payment", 8080); err != nil {
		t.Errorf("the way to the old port went at once: %v", err)
	}
	two.eventually(soon, "the way to the old port is gone", func() error {
		if err := two.wayIn("payment", 8080); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("it stands: %w", err)
		}
		return nil
	})
	one.eventually(soon, "the import has the new port only", func() error {
		si := one.imported("payment", two.id)
		if len(si.Spec.Ports) != 1 || si.Spec.Ports[0].Port != 9090 {
			return fmt.Errorf("ports %v", si.Spec.Ports)
		}
		return nil
	})
}
