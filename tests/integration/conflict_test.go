// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

func TestExportersThatDisagreeAreAllTold(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	one.service("payment", 1)
	first := one.export("payment", "high")
	one.imported("payment", one.id)
	one.eventually(soon, "a second has passed", func() error {
		if !metav1.Now().After(first.CreationTimestamp.Add(1100e6)) { // creation times have seconds only
			return fmt.Errorf("not yet")
		}
		return nil
	})
	two.create(service(f.namespace, "payment", corev1.ServicePort{Name: "http", Port: 9090, TargetPort: intstr.FromInt32(9090)}))
	two.create(slice(f.namespace, "payment", 9090, "10.22.1.1"))
	export := two.export("payment", "default")
	for _, m := range f.members {
		m.imported("payment", one.id, two.id)
		m.exportIs("payment", "Conflict", metav1.ConditionTrue, "PortConflict")
		m.exportIs("payment", v1alpha1.ConditionWANPolicy, metav1.ConditionFalse, v1alpha1.ReasonPolicyConflict)
	}
	two.remove(export)
	for _, m := range f.members {
		m.imported("payment", one.id)
	}
	one.exportIs("payment", "Conflict", metav1.ConditionFalse, "NoConflicts")
	one.exportIs("payment", v1alpha1.ConditionWANPolicy, metav1.ConditionTrue, v1alpha1.ReasonResolved)
}

func TestCopyThatSomebodyChangedIsPutRight(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 2)
	two.export("payment", "high")
	one.imported("payment", two.id)
	key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.AdvertisementName(two.id, f.namespace, "payment")}
	adv := &v1alpha1.ServiceAdvertisement{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	change(one, adv, func(a *v1alpha1.ServiceAdvertisement) { a.Spec.Ports[0].ReadyBackends = 0 })
	one.eventually(soon, "the copy says what the peer says", func() error {
		if err := one.Get(t.Context(), key, adv); err != nil {
			return err
		}
		if n := adv.Spec.Ports[0].ReadyBackends; n != 2 {
			return fmt.Errorf("%d ready backends", n)
		}
		return nil
	})
	one.remove(adv)
	one.eventually(soon, "the copy is back", func() error { return one.Get(t.Context(), key, adv) })
	one.imported("payment", two.id)
}
