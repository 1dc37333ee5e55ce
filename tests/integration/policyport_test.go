// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// TestFormerPortOfAPolicyStaysForAWhile: consumers learn of a policy's new port while the old one is still received on,
// by the policy's Gateway and by the TLS servers of TCP exports; then it goes.
func TestFormerPortOfAPolicyStaysForAWhile(t *testing.T) {
	f := joined(t, 2, func(o *controller.Options) { o.PortLinger = 15 * time.Second })
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	change(two, service(f.namespace, "payment"), func(s *corev1.Service) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "tcp-db", Port: 5432})
	})
	two.export("payment", "high")
	one.imported("payment", two.id)
	one.ordered(two.id, 31111, 31110)
	gateways := []string{translate.PolicyGatewayName("high"), translate.ExportGatewayName(f.namespace, "payment")}
	const before, after = 31111, 31121
	for _, name := range gateways {
		two.eventually(soon, name+" receives", func() error { return two.receives(name, before, true) })
	}

	change(two, policy("high", "", 0, false), func(p *v1alpha1.WANPolicy) { p.Spec.Port = after })
	one.ordered(two.id, after, 31110)
	for _, name := range gateways {
		two.eventually(soon, name+" receives on the new port", func() error { return two.receives(name, after, true) })
		if err := two.receives(name, before, true); err != nil {
			t.Errorf("while consumers learn of it: %v", err)
		}
	}
	for _, name := range gateways {
		two.eventually(soon, name+" lets go of the old port", func() error { return two.receives(name, before, false) })
		if err := two.receives(name, after, true); err != nil {
			t.Error(err)
		}
	}
	two.settled()
}

// receives compares whether a Gateway has a server on a port.
func (m *member) receives(gateway string, port uint32, want bool) error {
	gw := &networkingv1.Gateway{}
	if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: gateway}, gw); err != nil {
		return err
	}
	var ports []uint32
	for _, s := range gw.Spec.Servers {
		ports = append(ports, s.Port.Number)
	}
	if slices.Contains(ports, port) != want {
		return fmt.Errorf("%s receives on %v", gateway, ports)
	}
	return nil
}
