// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// TestPeerOutOfReachIsWithdrawn: feed loss alone moves nothing; with all hops dead as well the peer's exports are used
// only where no other cluster serves, until a hop answers.
func TestPeerOutOfReachIsWithdrawn(t *testing.T) {
	f := joined(t, 3, func(o *controller.Options) { o.WithdrawAfter = 3 * time.Second })
	one, two, three := f.members[0], f.members[1], f.members[2]
	for _, m := range f.members[1:] {
		m.service("payment", 1)
		m.export("payment", "high")
	}
	for _, m := range f.members[1:] {
		m.create(headlessService(f.namespace, "db"), m.headlessSlice("db", "db-0"))
		m.export("db", "high")
	}
	// Nobody else has these.
	two.service("alone", 1)
	two.create(headlessService(f.namespace, "lone-db"), two.headlessSlice("lone-db", "db-0"))
	two.export("alone", "high")
	two.export("lone-db", "high")
	one.imported("alone", two.id)
	one.named("lone-db", "db-0.cluster-2")
	one.imported("payment", two.id, three.id)
	one.named("db", "db-0.cluster-2", "db-0.cluster-3")
	both, other := fmt.Sprintf("%s=50,%s=50", two.id, three.id), three.id+"=100"
	one.eventually(soon, "both clusters share", func() error { return one.sharesAre("payment", 8080, both) })

	two.down()
	one.feedIsLost(two.id)
	one.always(4*time.Second, "nothing moves", func() error { return one.sharesAre("payment", 8080, both) })

	for _, policy := range []string{"high", "default"} {
		f.tunnels.set(policy, two.id, probe.Refused, 0)
	}
	one.peerIs(two.id, v1alpha1.ConditionReachable, metav1.ConditionFalse, v1alpha1.ReasonWithdrawn)
	one.eventsOn(two.id, corev1.EventTypeWarning, v1alpha1.ReasonWithdrawn)
	for _, p := range []string{"high", "default"} {
		one.told("the end of the hop of policy "+p, func(e eventsv1.Event) bool {
			return e.Reason == "HopDead" && e.Regarding.Name == two.id && strings.HasPrefix(e.Note, "policy "+p+" to ")
		})
	}
	one.eventually(soon, "the other cluster has it all", func() error { return one.sharesAre("payment", 8080, other) })
	one.imported("payment", two.id, three.id) // it is out of reach, not gone
	one.eventually(soon, "its EndpointSlice is not ready", func() error { return one.readySlices("payment", three.id) })
	one.named("db", "db-0.cluster-3")
	if err := one.gone(&networkingv1.ServiceEntry{}, f.namespace, translate.EndpointServiceEntryName("db", translate.EndpointKey{Cluster: two.id, Hostname: "db-0"})); err == nil {
		t.Error("its endpoint's own name is gone")
	}
	one.eventually(soon, "what nobody else exports stays as it was", func() error { return one.readySlices("alone", two.id) })
	one.named("lone-db", "db-0.cluster-2")

	f.tunnels.set("default", two.id, probe.Answered, 0)
	one.peerIs(two.id, v1alpha1.ConditionReachable, metav1.ConditionTrue, v1alpha1.ReasonReachable)
	one.eventually(soon, "both clusters share again", func() error { return one.sharesAre("payment", 8080, both) })
	one.eventually(soon, "both EndpointSlices are ready again", func() error { return one.readySlices("payment", two.id, three.id) })
	one.named("db", "db-0.cluster-2", "db-0.cluster-3")
}

// feedIsLost waits until a peer's feed cannot be read.
func (m *member) feedIsLost(id string) {
	m.fleet.t.Helper()
	m.eventually(time.Minute, "the feed of "+id+" is lost", func() error {
		p := &v1alpha1.Peer{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: id}, p); err != nil {
			return err
		}
		return hasCondition(p.Status.Conditions, p.Generation, v1alpha1.ConditionFeedReady, metav1.ConditionFalse, v1alpha1.ReasonUnreachable)
	})
}

// readySlices compares the source clusters of an import's ready EndpointSlices.
func (m *member) readySlices(name string, want ...string) error {
	var list discoveryv1.EndpointSliceList
	if err := m.List(m.fleet.t.Context(), &list, client.InNamespace(m.fleet.namespace), client.MatchingLabels{mcsv1beta1.LabelServiceName: name}); err != nil {
		return err
	}
	var got []string
	for _, s := range list.Items {
		if e := s.Endpoints; len(e) == 1 && e[0].Conditions.Ready != nil && *e[0].Conditions.Ready {
			got = append(got, s.Labels[mcsv1beta1.LabelSourceCluster])
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		return fmt.Errorf("ready: %v, want %v", got, want)
	}
	return nil
}

// TestExporterThatLeavesIsNotUsed: it goes on to let its former peer in until that one has heard of it, and uses others.
func TestExporterThatLeavesIsNotUsed(t *testing.T) {
	f := joined(t, 3, func(o *controller.Options) { o.LeaveLinger = time.Hour })
	one, two, three := f.members[0], f.members[1], f.members[2]
	for _, m := range f.members[1:] {
		m.service("payment", 1)
		m.export("payment", "high")
	}
	two.service("alone", 1)
	two.export("alone", "high")
	one.imported("payment", two.id, three.id)
	one.imported("alone", two.id)
	both := fmt.Sprintf("%s=50,%s=50", two.id, three.id)
	one.eventually(soon, "both clusters share", func() error { return one.sharesAre("payment", 8080, both) })

	two.remove(&v1alpha1.Peer{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: one.id}})
	one.eventually(soon, "the other cluster has it all", func() error { return one.sharesAre("payment", 8080, three.id+"=100") })
	if err := two.lets(one.id, one.identity(v1alpha1.EgressName), true); err != nil {
		t.Errorf("while traffic moves: %v", err)
	}
	one.peerIs(two.id, v1alpha1.ConditionReachable, metav1.ConditionFalse, v1alpha1.ReasonRefused)
	one.eventsOn(two.id, corev1.EventTypeWarning, v1alpha1.ReasonRefused)
	if err := one.sharesAre("alone", 8080, two.id+"=100"); err != nil {
		t.Errorf("what nobody else exports: %v", err)
	}

	// The time starts anew for whom a controller finds that starts.
	two.down()
	two.tune = func(o *controller.Options) { o.LeaveLinger = 2 * time.Second }
	two.up()
	two.eventually(soon, "it is not let in any more", func() error { return two.lets(one.id, one.identity(v1alpha1.EgressName), false) })
	one.down()
	one.up()
	one.readsPeers(1)
	if err := one.sharesAre("payment", 8080, three.id+"=100"); err != nil {
		t.Errorf("after a restart: %v", err)
	}

	two.create(one.asPeer())
	one.peerIs(two.id, v1alpha1.ConditionReachable, metav1.ConditionTrue, v1alpha1.ReasonReachable)
	one.eventually(soon, "both clusters share again", func() error { return one.sharesAre("payment", 8080, both) })
}

// TestStrangerIsNotKept: what somebody else writes into the AuthorizationPolicy is none that left.
func TestStrangerIsNotKept(t *testing.T) {
	f := joined(t, 2)
	one := f.members[0]
	const stranger = "spiffe://elsewhere/ns/default/sa/default"
	change(one, &securityv1.AuthorizationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: translate.IngressAdmissionName}},
		func(p *securityv1.AuthorizationPolicy) {
			from := p.Spec.Rules[0].From[0].Source
			from.Principals = append(from.Principals, strings.TrimPrefix(stranger, "spiffe://"))
		})
	one.eventually(soon, "a stranger is put out", func() error { return one.lets("a stranger", stranger, false) })
}

// TestClusterThatIsCutOffServesItself: with all peers out of reach at once nothing speaks for any of them, so the own
// backends get all there is to serve.
func TestClusterThatIsCutOffServesItself(t *testing.T) {
	f := joined(t, 3, func(o *controller.Options) { o.WithdrawAfter = 3 * time.Second })
	one, two, three := f.members[0], f.members[1], f.members[2]
	for _, m := range f.members {
		m.service("payment", 1)
		m.export("payment", "high")
	}
	one.imported("payment", one.id, two.id, three.id)
	one.eventually(soon, "all share", func() error {
		return one.sharesAre("payment", 8080, fmt.Sprintf("%s=34,%s=33,%s=33", one.id, two.id, three.id))
	})
	two.down()
	three.down()
	for _, peer := range []*member{two, three} {
		for _, policy := range []string{"high", "default"} {
			f.tunnels.set(policy, peer.id, probe.Lost, 0)
		}
	}
	for _, peer := range []*member{two, three} {
		one.peerIs(peer.id, v1alpha1.ConditionReachable, metav1.ConditionFalse, v1alpha1.ReasonWithdrawn)
		one.peerIs(peer.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionFalse, v1alpha1.ReasonAllHopsDead)
	}
	one.eventually(soon, "the own backends have it all", func() error { return one.sharesAre("payment", 8080, one.id+"=100") })
	for _, peer := range []*member{two, three} {
		f.tunnels.set("high", peer.id, probe.Answered, 0)
	}
	one.peerIs(two.id, v1alpha1.ConditionReachable, metav1.ConditionTrue, v1alpha1.ReasonReachable)
}

// TestDrainedTunnelLeavesTheOrder: by policy, and by peer; the last way stays, and the status says what is asked for.
func TestDrainedTunnelLeavesTheOrder(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	const high, other = 31111, 31110
	one.ordered(two.id, high, other)
	rule := one.pathRule(two.id)
	change(one, policy("high", "", 0, false), func(p *v1alpha1.WANPolicy) { p.Spec.Drain = true })
	one.ordered(two.id, other)
	one.eventually(soon, "the Peer says so", func() error {
		if h := one.hopIs(two.id, "high", v1alpha1.HopHealthy); !h.Drained {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	peer := one.peerIs(two.id, v1alpha1.ConditionHopsHealthy, metav1.ConditionTrue, v1alpha1.ReasonAllHealthy)
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Drain = []string{"*"} })
	one.ordered(two.id, high, other)
	change(one, policy("high", "", 0, false), func(p *v1alpha1.WANPolicy) { p.Spec.Drain = false })
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Drain = []string{"default"} })
	one.ordered(two.id, high)
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Drain = nil })
	one.ordered(two.id, high, other)
	if after := one.pathRule(two.id); after != rule {
		t.Errorf("the DestinationRule was written: %s, before %s", after, rule)
	}
}

// TestDrainOfAnUnknownPolicyIsTold: as long as there is none of that name, wherever it may come from.
func TestDrainOfAnUnknownPolicyIsTold(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	const words = `spec.drain names "later"`
	peer := &v1alpha1.Peer{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: two.id}}
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Drain = []string{"high", "later"} })
	for _, m := range f.members {
		one.peerIs(two.id, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, words)
		later := policy("later", "business", 31119, false)
		m.create(later)
		one.eventually(soon, "nothing is unknown with the policy in "+m.id, func() error {
			p := one.peerIs(two.id, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			if told := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionAccepted).Message; strings.Contains(told, words) {
				return errors.New(told)
			}
			return nil
		})
		m.remove(later)
	}
}

// TestDrainedPeerGivesItsShareAway: to the other exporters, for which it stands in if there is but one.
func TestDrainedPeerGivesItsShareAway(t *testing.T) {
	f := joined(t, 3)
	one, two, three := f.members[0], f.members[1], f.members[2]
	for _, m := range f.members[1:] {
		m.service("payment", 1)
		m.export("payment", "high")
		m.create(headlessService(f.namespace, "db"), m.headlessSlice("db", "db-0"))
		m.export("db", "high")
	}
	one.imported("payment", two.id, three.id)
	both := fmt.Sprintf("%s=50,%s=50", two.id, three.id)
	one.eventually(soon, "both clusters share", func() error { return one.sharesAre("payment", 8080, both) })
	one.named("db", "db-0.cluster-2", "db-0.cluster-3")
	peer := &v1alpha1.Peer{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: two.id}}
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Drain = []string{"*"} })
	one.eventually(soon, "the other cluster has it all", func() error { return one.sharesAre("payment", 8080, three.id+"=100") })
	one.named("db", "db-0.cluster-3")
	if err := one.gone(&networkingv1.ServiceEntry{}, f.namespace, translate.EndpointServiceEntryName("db", translate.EndpointKey{Cluster: two.id, Hostname: "db-0"})); err == nil {
		t.Error("the drained cluster's endpoint has lost its own name")
	}
	name := translate.PathName(translate.PathKey{Policy: "high", Exporter: three.id, Backup: two.id})
	if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, &networkingv1.ServiceEntry{}); err != nil {
		t.Errorf("the drained cluster does not stand in: %v", err)
	}
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Drain = nil })
	one.eventually(soon, "both clusters share again", func() error { return one.sharesAre("payment", 8080, both) })
	one.named("db", "db-0.cluster-2", "db-0.cluster-3")
}

// TestStrictExportStaysOnItsTunnel: the export's own failover travels to the consumer and makes a path of its own.
func TestStrictExportStaysOnItsTunnel(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	export := two.export("payment", "high")
	one.imported("payment", two.id)
	change(two, export, func(e *mcsv1beta1.ServiceExport) {
		metav1.SetMetaDataAnnotation(&e.ObjectMeta, v1alpha1.AnnotationFailover, "Strict")
	})
	name := translate.PathName(translate.PathKey{Policy: "high", Exporter: two.id, Failover: "Strict"})
	one.eventually(soon, "the leg leads to a path with one tunnel", func() error {
		path := &networkingv1.ServiceEntry{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, path); err != nil {
			return err
		}
		var ports []uint32
		for _, e := range path.Spec.Endpoints {
			for _, port := range e.Ports {
				ports = append(ports, port)
			}
		}
		if !slices.Equal(ports, []uint32{31111}) {
			return fmt.Errorf("ports %v", ports)
		}
		leg := &networkingv1.VirtualService{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.LegName(f.namespace, "payment", 8080)}, leg); err != nil {
			return err
		}
		for _, r := range leg.Spec.Http {
			if host := r.Route[0].Destination.Host; host != name+"."+translate.PathDomain {
				return fmt.Errorf("to %s", host)
			}
		}
		return nil
	})
	change(two, export, func(e *mcsv1beta1.ServiceExport) { e.Annotations[v1alpha1.AnnotationFailover] = "Strictly" })
	two.exportIs("payment", v1alpha1.ConditionWANPolicy, metav1.ConditionFalse, v1alpha1.ReasonInvalidFailover)
}

// TestPathGoesThatWasLeftTwice: a path that is used again while it lingers, and left again, goes all the same.
func TestPathGoesThatWasLeftTwice(t *testing.T) {
	const linger = 3 * time.Second
	f := joined(t, 2, func(o *controller.Options) { o.PathLinger = linger })
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	export := two.export("payment", "high")
	one.imported("payment", two.id)
	one.routesAre("payment", " -> high")
	name := translate.PathName(translate.PathKey{Policy: "high", Exporter: two.id, Failover: "Strict"})
	leads := func(strict bool) {
		t.Helper()
		one.eventually(soon, fmt.Sprintf("the leg leads to the strict path: %t", strict), func() error {
			leg := &networkingv1.VirtualService{}
			if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.LegName(f.namespace, "payment", 8080)}, leg); err != nil {
				return err
			}
			if host := leg.Spec.Http[0].Route[0].Destination.Host; (host == name+"."+translate.PathDomain) != strict {
				return fmt.Errorf("to %s", host)
			}
			return nil
		})
	}
	for range 2 {
		change(two, export, func(e *mcsv1beta1.ServiceExport) {
			metav1.SetMetaDataAnnotation(&e.ObjectMeta, v1alpha1.AnnotationFailover, "Strict")
		})
		leads(true)
		change(two, export, func(e *mcsv1beta1.ServiceExport) { delete(e.Annotations, v1alpha1.AnnotationFailover) })
		leads(false)
	}
	one.eventually(linger+soon, "the strict path has gone", func() error {
		err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, &networkingv1.ServiceEntry{})
		if err == nil {
			return fmt.Errorf("%s still stands", name)
		}
		return client.IgnoreNotFound(err)
	})
}
