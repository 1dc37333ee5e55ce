// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
)

// replica starts one more controller of the same cluster.
func (m *member) replica() *member {
	out := &member{cluster: m.cluster, fleet: m.fleet, tune: m.tune}
	m.fleet.t.Cleanup(out.down)
	out.up()
	return out
}

// leaderIs waits until the Lease is held by somebody, or by somebody else than before.
func (m *member) leads(not string) string {
	m.fleet.t.Helper()
	holder := ""
	m.eventually(soon, "somebody leads", func() error {
		lease := &coordinationv1.Lease{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: "mcw-controller"}, lease); err != nil {
			return err
		}
		if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" || *lease.Spec.HolderIdentity == not {
			return fmt.Errorf("held by %v", lease.Spec.HolderIdentity)
		}
		holder = *lease.Spec.HolderIdentity
		return nil
	})
	return holder
}

func TestAnotherReplicaTakesOver(t *testing.T) {
	f := newFleet(t, 2, func(o *controller.Options) { o.LeaderElect = true })
	one, two := f.members[0], f.members[1]
	leader := one.leads("")
	second := one.replica() // peers' calls lead to it from now on: it serves, though it does not lead
	two.create(one.asPeer())
	one.create(two.asPeer())
	two.peerIs(one.id, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if writes := second.running.writes.all(); len(writes) != 0 {
		t.Errorf("a replica that does not lead wrote: %v", writes)
	}

	one.down()
	one.leads(leader)
	one.service("payment", 1)
	one.export("payment", "")
	two.imported("payment", one.id)
	if writes := second.running.writes.all(); len(writes) == 0 {
		t.Error("the new leader wrote nothing")
	}
}

func TestHealthAndMetrics(t *testing.T) {
	health, metrics := freePort(t), freePort(t)
	f := newFleet(t, 1, func(o *controller.Options) {
		o.HealthProbeBindAddress, o.MetricsBindAddress = health, metrics
	})
	one := f.members[0]
	one.eventually(soon, "ready", func() error { return answers("http://" + health + "/readyz") })
	if err := answers("http://" + health + "/healthz"); err != nil {
		t.Error(err)
	}
	if err := answers("http://" + metrics + "/metrics"); err != nil {
		t.Error(err)
	}
}

func answers(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
