// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// TestWarmStandby: the controller calls over the paths of a policy that asks for it, as long as it does and where it does,
// and the egress gateway has a route for that.
func TestWarmStandby(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	two.export("payment", "high")
	for _, m := range f.members {
		m.imported("payment", two.id)
	}
	path := translate.PathName(translate.PathKey{Policy: "high", Exporter: two.id})
	standby := func(mode v1alpha1.Standby) {
		change(one, policy("high", "", 0, false), func(p *v1alpha1.WANPolicy) {
			p.Spec.Standby = mode
		})
	}
	routed := func(want bool) {
		t.Helper()
		one.eventually(soon, fmt.Sprintf("a route to keep connections open: %v", want), func() error {
			vs := &networkingv1.VirtualService{}
			if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: path}, vs); err != nil {
				return err
			}
			uri := vs.Spec.Http[0].GetMatch()[0].GetUri().GetExact()
			if got := uri == translate.StandbyURI(path) && slices.Equal(vs.Spec.Hosts, []string{"*"}); got != want {
				return fmt.Errorf("hosts %v, routes %v", vs.Spec.Hosts, vs.Spec.Http)
			}
			return nil
		})
	}

	routed(false)
	standby(v1alpha1.StandbyWarm)
	routed(true)
	one.eventually(soon, "calls over the path", func() error {
		if n := f.gateways.standbyCalls(one.id, path); n < 3 {
			return fmt.Errorf("%d calls", n)
		}
		return nil
	})
	if n := f.gateways.standbyCalls(two.id, ""); n > 0 {
		t.Errorf("%d calls by a cluster whose policy asks for none", n)
	}
	if n := f.gateways.standbyCalls(one.id, ""); n != f.gateways.standbyCalls(one.id, path) {
		t.Errorf("%d calls, of which some over other paths", n)
	}

	standby(v1alpha1.StandbyCold)
	routed(false)
	last, since := 0, time.Now()
	one.eventually(soon, "no more calls", func() error {
		if n := f.gateways.standbyCalls(one.id, ""); n != last {
			last, since = n, time.Now()
		}
		if quiet := time.Since(since); quiet < 3*time.Second {
			return fmt.Errorf("none for %s only", quiet)
		}
		return nil
	})
}

// TestReturningTunnelComesSecond: until connections stand over it. The status says so, and a controller that starts meanwhile
// goes on from there. One that is new and was never dead comes first, for a new controller too.
func TestReturningTunnelComesSecond(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	change(one, policy("high", "", 0, false), func(p *v1alpha1.WANPolicy) { p.Spec.Standby = v1alpha1.StandbyWarm })
	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	const high, other = 31111, 31110
	one.ordered(two.id, high, other)
	says := func(reason string) {
		t.Helper()
		one.eventually(30*time.Second, "the tunnel is Healthy: "+reason, func() error {
			if h := one.hopIs(two.id, "high", v1alpha1.HopHealthy); h.Reason != reason {
				return fmt.Errorf("hop %+v", h)
			}
			return nil
		})
	}
	says(v1alpha1.HopReasonAnswers)
	restart := func(first, second uint32) {
		t.Helper()
		one.down()
		one.up()
		one.readsPeers(1)
		one.keeps("a new controller keeps the order", two.id, first, second)
	}
	restart(high, other)
	says(v1alpha1.HopReasonAnswers)

	f.tunnels.set("high", two.id, probe.Refused, 0)
	one.ordered(two.id, other)
	f.tunnels.set("high", two.id, probe.Answered, 0)
	one.ordered(two.id, other, high)
	says(v1alpha1.HopReasonReturning)
	restart(other, high)
	says(v1alpha1.HopReasonReturning)
	one.ordered(two.id, high, other)
	says(v1alpha1.HopReasonAnswers)
}

// TestWarmStandbyNeedsAnotherTunnel: the API server says so.
func TestWarmStandbyNeedsAnotherTunnel(t *testing.T) {
	one := newFleet(t, 1).members[0]
	p := policy("alone", "business", 31199, false)
	p.Spec.Failover, p.Spec.Standby = &v1alpha1.Failover{Mode: v1alpha1.FailoverStrict}, v1alpha1.StandbyWarm
	err := one.Create(t.Context(), p)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "standby Warm needs another tunnel") {
		t.Errorf("created: %v", err)
	}
}
