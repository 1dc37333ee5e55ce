// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// tunnels answer the prober of every cluster in place of an SD-WAN.
type tunnels struct {
	mu    sync.Mutex
	kinds map[string]probe.Kind
	slow  map[string]time.Duration
}

func newTunnels() *tunnels {
	return &tunnels{kinds: map[string]probe.Kind{}, slow: map[string]time.Duration{}}
}

// set says what becomes of handshakes over a policy to a cluster, and how long they take.
func (w *tunnels) set(policy, cluster string, kind probe.Kind, rtt time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kinds[policy+"@"+cluster], w.slow[policy+"@"+cluster] = kind, rtt
}

func (w *tunnels) dial(ctx context.Context, hop translate.HopKey) probe.Result {
	w.mu.Lock()
	what := hop.Policy + "@" + hop.Cluster
	r := probe.Result{Sent: time.Now(), Kind: w.kinds[what], RTT: max(w.slow[what], 20*time.Millisecond)}
	w.mu.Unlock()
	wait := r.RTT
	if r.Kind == probe.Lost {
		wait = probe.GiveUp
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return r
}

// ports are the ports of the endpoints of the shared path to a cluster, first choice first.
func (m *member) ports(exporter string) ([]uint32, error) {
	path := &networkingv1.ServiceEntry{}
	name := translate.PathName(translate.PathKey{Policy: "high", Exporter: exporter})
	if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, path); err != nil {
		return nil, err
	}
	endpoints := slices.Clone(path.Spec.Endpoints)
	slices.SortStableFunc(endpoints, func(a, b *networkingv1alpha3.WorkloadEntry) int { return len(b.Labels) - len(a.Labels) })
	var out []uint32
	for _, e := range endpoints {
		for _, port := range e.Ports {
			out = append(out, port)
		}
	}
	return out, nil
}

func (m *member) ordered(exporter string, want ...uint32) {
	m.fleet.t.Helper()
	m.eventually(30*time.Second, fmt.Sprintf("the order to %s is %v", exporter, want), func() error {
		got, err := m.ports(exporter)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("it is %v", got)
		}
		return err
	})
}

// keeps: nothing changes the order for a while.
func (m *member) keeps(what, exporter string, want ...uint32) {
	m.fleet.t.Helper()
	m.always(2*time.Second, what, func() error {
		got, err := m.ports(exporter)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("endpoints in the order %v, want %v", got, want)
		}
		return err
	})
}

func (m *member) hopIs(peer, policy string, state v1alpha1.HopState) v1alpha1.HopStatus {
	m.fleet.t.Helper()
	var found v1alpha1.HopStatus
	m.eventually(30*time.Second, fmt.Sprintf("hop %s to %s is %s", policy, peer, state), func() error {
		p := &v1alpha1.Peer{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: peer}, p); err != nil {
			return err
		}
		for _, h := range p.Status.Hops {
			if h.Policy == policy && h.State == state {
				found = h
				return nil
			}
		}
		return fmt.Errorf("hops %+v", p.Status.Hops)
	})
	return found
}

// TestTunnels: what the prober finds orders the endpoints of paths and nothing else, is told on the Peer, and stands when
// the controller is started anew.
func TestTunnels(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	hundred := int32(100)
	change(one, policy("high", "", 0, false), func(p *v1alpha1.WANPolicy) { p.Spec.SLA = &v1alpha1.SLA{LatencyMs: &hundred} })
	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	const high, other = 31111, 31110
	one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionTrue, v1alpha1.ReasonAllHealthy)
	if h := one.hopIs(two.id, "high", v1alpha1.HopHealthy); h.RTTMs == nil || *h.RTTMs != 20 || h.Since == nil || h.Tunnel != "business" {
		t.Errorf("hop %+v", h)
	}
	one.ordered(two.id, high, other)
	rule := one.pathRule(two.id)

	f.tunnels.set("high", two.id, probe.Answered, 300*time.Millisecond)
	one.ordered(two.id, other, high)
	one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionFalse, v1alpha1.ReasonHopsDegraded)
	if h := one.hopIs(two.id, "high", v1alpha1.HopDegraded); h.Reason != v1alpha1.HopReasonLatency {
		t.Errorf("hop %+v", h)
	}

	f.tunnels.set("high", two.id, probe.Refused, 0)
	one.ordered(two.id, other)
	one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionFalse, v1alpha1.ReasonHopsDead)
	one.eventsOn(two.id, corev1.EventTypeWarning, "HopDegraded", "HopDead")
	hop := []string{"peer", two.id, "policy", "high"}
	one.eventually(10*time.Second, "the verdicts in metrics", func() error {
		return errors.Join(
			one.metric("mcwan_hop_state", 3, hop...),
			one.metric("mcwan_hop_transitions_total", 1, append(hop, "state", "Degraded", "reason", v1alpha1.HopReasonLatency)...),
			one.metric("mcwan_hop_transitions_total", 1, append(hop, "state", "Dead", "reason", v1alpha1.HopReasonRefused)...))
	})
	one.settled()

	// A new life of the controller finds the order as it was, and measures nothing that would say otherwise.
	one.down()
	f.tunnels.set("high", two.id, probe.Broken, 0)
	one.up()
	one.readsPeers(1)
	one.keeps("the dead hop stays out", two.id, other)

	f.tunnels.set("high", two.id, probe.Answered, 0)
	one.ordered(two.id, high, other)
	one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionTrue, v1alpha1.ReasonAllHealthy)
	one.eventsOn(two.id, corev1.EventTypeNormal, "HopHealthy")
	if after := one.pathRule(two.id); after != rule {
		t.Errorf("the DestinationRule was written: %s, before %s", after, rule)
	}
}

// TestBrokenProbeMovesNothing: a peer whose feed is read has a hop that lives, whatever the prober says.
func TestBrokenProbeMovesNothing(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	one.settled()
	one.ordered(two.id, 31111, 31110)
	for _, doubt := range []struct {
		kind probe.Kind
		why  string // the condition of the first doubt stands until the second
	}{
		{probe.Broken, "the prober cannot open connections"},
		{probe.Lost, "no hop answers the prober, but the peer's feed is read"},
	} {
		for _, p := range []string{"high", "default"} {
			f.tunnels.set(p, two.id, doubt.kind, 0)
		}
		one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionUnknown, v1alpha1.ReasonProbeBroken, doubt.why)
		one.ordered(two.id, 31111, 31110)
	}

	// Only one hop answers then, so nothing doubts what the prober says, nor what its predecessor said and nobody believed.
	one.settled()
	one.down()
	f.tunnels.set("high", two.id, probe.Broken, 0)
	f.tunnels.set("default", two.id, probe.Answered, 0)
	one.up()
	one.readsPeers(1)
	one.keeps("the order stays", two.id, 31111, 31110)
}

// TestDoubtKeepsADeadTunnelLast: a prober that breaks while a tunnel is dead does not bring that tunnel back to the front, nor
// does a controller that starts meanwhile.
func TestDoubtKeepsADeadTunnelLast(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	const high, other = 31111, 31110
	one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionTrue, v1alpha1.ReasonAllHealthy)
	one.ordered(two.id, high, other)
	f.tunnels.set("high", two.id, probe.Refused, 0)
	one.ordered(two.id, other)
	f.tunnels.set("default", two.id, probe.Lost, 0)
	one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionUnknown, v1alpha1.ReasonProbeBroken)
	one.ordered(two.id, other, high)
	if h := one.hopIs(two.id, "default", v1alpha1.HopHealthy); h.Reason == v1alpha1.HopReasonNoAnswer {
		t.Errorf("hop %+v", h)
	}
	one.hopIs(two.id, "high", v1alpha1.HopDead)
	one.eventsOn(two.id, corev1.EventTypeWarning, v1alpha1.ReasonProbeBroken)
	if err := one.metric("mcwan_hop_state", 1, "peer", two.id, "policy", "default"); err != nil {
		t.Error(err)
	}
	one.settled()
	one.down()
	one.up()
	one.readsPeers(1)
	one.keeps("the dead tunnel stays last", two.id, other, high)
}

// pathRule is the version of a path's DestinationRule.
func (m *member) pathRule(exporter string) string {
	m.fleet.t.Helper()
	rule := &networkingv1.DestinationRule{}
	name := translate.PathName(translate.PathKey{Policy: "high", Exporter: exporter})
	if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, rule); err != nil {
		m.fleet.t.Fatal(err)
	}
	return rule.ResourceVersion
}

// eventsOn waits for Events of a type on a Peer.
func (m *member) eventsOn(peer, kind string, reasons ...string) {
	m.fleet.t.Helper()
	for _, reason := range reasons {
		m.told(reason+" of "+peer, func(e eventsv1.Event) bool {
			return e.Reason == reason && e.Regarding.Kind == "Peer" && e.Regarding.Name == peer && e.Type == kind
		})
	}
}
