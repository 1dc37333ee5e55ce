// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// legPorts are the targets of a derived Service's ports.
func (m *member) legPorts(name string) map[string]int32 {
	m.fleet.t.Helper()
	derived := &corev1.Service{}
	key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.DerivedServiceName(m.fleet.namespace, name)}
	if err := m.Get(m.fleet.t.Context(), key, derived); err != nil {
		m.fleet.t.Fatal(err)
	}
	out := map[string]int32{}
	for _, p := range derived.Spec.Ports {
		out[fmt.Sprint(p.Port)] = p.TargetPort.IntVal
	}
	return out
}

func TestLegPortsStayForLife(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	const services = 8
	before := map[string]map[string]int32{}
	seen := map[int32]string{}
	for i := range services {
		name := fmt.Sprintf("svc-%d", i)
		one.service(name, 1)
		one.export(name, "high")
		one.imported(name, one.id)
		before[name] = one.legPorts(name)
		for _, port := range before[name] {
			if other, taken := seen[port]; taken {
				t.Errorf("port %d belongs to %s and %s", port, other, name)
			}
			seen[port] = name
		}
	}
	check := func(when string) {
		t.Helper()
		for name, ports := range before {
			one.imported(name, one.id)
			if got := one.legPorts(name); !maps.Equal(got, ports) {
				t.Errorf("%s: ports of %s are %v, were %v", when, name, got, ports)
			}
		}
	}
	one.down()
	one.up()
	check("after a restart")

	one.down()
	one.remove(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "mcw-leg-ports"}})
	one.up()
	one.service("late", 1)
	one.export("late", "high")
	one.imported("late", one.id)
	for _, port := range one.legPorts("late") {
		if owner, taken := seen[port]; taken {
			t.Errorf("port %d of %s was given out again after the table was lost", port, owner)
		}
	}
	check("after the table was lost")
}

// A controller that died between taking an import away and giving its ports back left them in the table.
func TestPortsOfAnImportThatIsGoneComeBack(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.service("payment", 1)
	export := one.export("payment", "high")
	one.imported("payment", one.id)
	one.down()
	one.remove(export)
	table := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "mcw-leg-ports"}}
	change(one, table, func(cm *corev1.ConfigMap) {
		parsed, err := ports.Parse(cm.Data)
		if err != nil {
			t.Fatal(err)
		}
		parsed, _, err = parsed.Allocate(ports.Key{Namespace: f.namespace, Name: "ghost", Port: 80}, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cm.Data, err = parsed.Data(); err != nil {
			t.Fatal(err)
		}
	})
	one.up()
	one.nothingLeft(soon, "payment")
	one.eventually(soon, "nobody holds ports", func() error {
		if err := one.Get(t.Context(), client.ObjectKeyFromObject(table), table); err != nil {
			return err
		}
		parsed, err := ports.Parse(table.Data)
		if err == nil && len(parsed.Keys()) > 0 {
			err = fmt.Errorf("held by %v", parsed.Keys())
		}
		return err
	})
}
