// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/mesh"
)

// TestBadExports: each gives a condition, is put right by doing what the message says, and harms no other export.
func TestBadExports(t *testing.T) {
	const overTCP = "offer the service over TCP as well"
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("good", 1)
	two.export("good", "high")
	one.imported("good", two.id)

	t.Run("unknown WAN policy", func(t *testing.T) {
		two.service("unknown-policy", 1)
		export := two.export("unknown-policy", "no-such-policy")
		two.exportIs(export.Name, v1alpha1.ConditionWANPolicy, metav1.ConditionFalse, v1alpha1.ReasonUnknownPolicy,
			"correct the annotation or create the WANPolicy", `Known: "default", "high"`)
		two.exportIs(export.Name, "Ready", metav1.ConditionFalse, "Failed", "correct the annotation or create the WANPolicy")
		if err := one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, export.Name); err != nil {
			t.Error(err)
		}
		change(two, export, func(e *mcsv1beta1.ServiceExport) { e.Annotations[v1alpha1.AnnotationWANPolicy] = "high" })
		one.imported(export.Name, two.id)
	})
	t.Run("no Service", func(t *testing.T) {
		export := two.export("no-service", "high")
		two.exportIs(export.Name, "Valid", metav1.ConditionFalse, "NoService", "create it, or delete the ServiceExport")
		two.service("no-service", 1)
		two.exportIs(export.Name, "Valid", metav1.ConditionTrue, "Valid")
		one.imported(export.Name, two.id)
	})
	t.Run("ExternalName", func(t *testing.T) {
		two.create(&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "external"},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"},
		})
		two.export("external", "high")
		two.exportIs("external", "Valid", metav1.ConditionFalse, "InvalidServiceType", advertise.ExternalNameFix)
	})
	t.Run("UDP", func(t *testing.T) {
		two.create(service(f.namespace, "mixed",
			corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromInt32(80)},
			corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(53)}))
		two.create(slice(f.namespace, "mixed", 80, "10.9.9.9"))
		two.export("mixed", "high")
		two.exportIs("mixed", v1alpha1.ConditionPortsCarried, metav1.ConditionFalse, v1alpha1.ReasonUnsupportedProtocol, "53", overTCP)
		two.exportIs("mixed", "Ready", metav1.ConditionTrue, "Ready")
		si := one.imported("mixed", two.id)
		if len(si.Spec.Ports) != 2 {
			t.Errorf("ports %v", si.Spec.Ports)
		}
		if err := hasCondition(si.Status.Conditions, si.Generation, v1alpha1.ConditionPortsCarried, metav1.ConditionFalse, v1alpha1.ReasonUnsupportedProtocol, overTCP); err != nil {
			t.Error(err)
		}
	})
	t.Run("UDP only", func(t *testing.T) {
		two.create(service(f.namespace, "names", corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(53)}))
		two.export("names", "")
		two.exportIs("names", "Ready", metav1.ConditionFalse, "Failed", overTCP)
		one.eventually(soon, "an import that says that it cannot be used", func() error {
			si := &mcsv1beta1.ServiceImport{}
			if err := one.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "names"}, si); err != nil {
				return err
			}
			if len(si.Spec.Ports) != 1 || len(si.Spec.IPs) > 0 || si.Status.EndpointSliceObjects != mcsv1beta1.EndpointSliceObjectsAbsent {
				return fmt.Errorf("spec %+v, status %+v", si.Spec, si.Status)
			}
			return hasCondition(si.Status.Conditions, si.Generation, "Ready", metav1.ConditionFalse, v1alpha1.ReasonUnsupportedProtocol, overTCP)
		})
	})
	one.imported("good", two.id)
}

// TestBadPolicies: a policy that cannot be used says why, and the others stay in use.
func TestBadPolicies(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.policyIs("high", metav1.ConditionTrue, v1alpha1.ReasonReady)
	one.create(policy("twin", "lte", 31111, false))
	one.policyIs("twin", metav1.ConditionFalse, v1alpha1.ReasonPortConflict, "WANPolicy high", "choose another port")
	one.policyIs("high", metav1.ConditionTrue, v1alpha1.ReasonReady)
	one.create(policy("feed", "lte", v1alpha1.EgressFeedPort, false))
	one.policyIs("feed", metav1.ConditionFalse, v1alpha1.ReasonPortReserved, "choose another, such as 31111")
	one.create(policy("second-default", "lte", 31119, true))
	one.policyIs("second-default", metav1.ConditionTrue, v1alpha1.ReasonDefaultConflict)
	for port, says := range map[int32]string{15021: "belong to Istio's proxies; choose another port", 20000: "choose another port, such as 31111"} {
		if err := one.Create(t.Context(), policy("reserved", "lte", port, false)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("port %d: %v", port, err)
		}
	}
	one.remove(policy("high", "", 0, false))
	one.policyIs("twin", metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// TestBadPeers: a Peer that cannot be accepted says why, is not called, and does not disturb those that are joined.
func TestBadPeers(t *testing.T) {
	f := joined(t, 2)
	one, two, three := f.members[0], f.members[1], shared.clusters[2]
	third := func(mutate func(*v1alpha1.Peer)) *v1alpha1.Peer {
		peer := (&member{cluster: three, fleet: f}).asPeer()
		mutate(peer)
		return peer
	}
	for name, c := range map[string]struct {
		peer        *v1alpha1.Peer
		reason, fix string
	}{
		"own card":            {one.asPeer(), v1alpha1.ReasonOwnCluster, "apply the other cluster's card here and this one there"},
		"unreachable address": {third(func(p *v1alpha1.Peer) { p.Spec.Bootstrap.Addresses = []string{"127.0.0.1"} }), v1alpha1.ReasonInvalidAddress, "it must be routed over the SD-WAN"},
		"another's identity":  {third(func(p *v1alpha1.Peer) { p.Spec.Identities = two.asPeer().Spec.Identities }), v1alpha1.ReasonInvalidIdentity, "give each cluster a trust domain of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			one.create(c.peer)
			one.peerIs(c.peer.Name, v1alpha1.ConditionAccepted, metav1.ConditionFalse, c.reason, c.fix)
			one.peerIs(c.peer.Name, v1alpha1.ConditionReady, metav1.ConditionFalse, c.reason, c.fix)
			one.remove(c.peer)
		})
	}
	t.Run("taken id", func(t *testing.T) {
		twin := third(func(p *v1alpha1.Peer) { p.Spec.ClusterUID = "11111111-1111-1111-1111-111111111111" })
		other := third(func(p *v1alpha1.Peer) {
			p.Name, p.Spec.ClusterID = "cluster-4", "cluster-4"
			p.Spec.ClusterUID = twin.Spec.ClusterUID
			p.Spec.Identities.Egress, p.Spec.Identities.Ingress = p.Spec.Identities.Egress+"-4", p.Spec.Identities.Ingress+"-4"
		})
		one.create(twin)
		one.peerIs(twin.Name, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		one.create(other)
		one.peerIs(other.Name, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonDuplicateID, "leave one of them")
		one.remove(other)
		one.remove(twin)
	})
	t.Run("card of a twin over a joined Peer", func(t *testing.T) {
		uid := one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionTrue, v1alpha1.ReasonSynced).Status.ClusterUID
		card := two.asPeer()
		change(one, card, func(p *v1alpha1.Peer) { p.Spec.ClusterUID = uid }) // may be set once
		for _, other := range []string{"11111111-1111-1111-1111-111111111111", ""} {
			twin := card.DeepCopy()
			twin.Spec.ClusterUID, twin.Spec.Bootstrap.Addresses = other, []string{three.gatewayAddress()}
			err := one.Patch(t.Context(), twin, client.MergeFrom(card))
			if err == nil || !strings.Contains(err.Error(), "the id is taken by another cluster; leave it first (mcwanctl leave ID)") {
				t.Errorf("uid %q: %v", other, err)
			}
		}
		joined := one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionTrue, v1alpha1.ReasonSynced)
		if got := joined.Spec.Bootstrap.Addresses; joined.Spec.ClusterUID != uid || !slices.Equal(got, []string{two.gatewayAddress()}) {
			t.Errorf("uid %s, addresses %v", joined.Spec.ClusterUID, got)
		}
		change(one, card, func(p *v1alpha1.Peer) { p.Spec.Bootstrap.Addresses = append(p.Spec.Bootstrap.Addresses, "10.22.0.77") })

		one.remove(card) // leave and join
		again := two.asPeer()
		again.Spec.ClusterUID = uid
		one.create(again)
		one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	})
	if got := f.gateways.count(one.id, one.id); got != 0 {
		t.Errorf("the own cluster was called %d times", got)
	}
	one.peerIs(two.id, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestMeshThatFightsIsTold(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	deployment := istiod()
	set := func(image string, env ...corev1.EnvVar) {
		change(one, deployment, func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Image, d.Spec.Template.Spec.Containers[0].Env = image, env
		})
	}
	defer set("docker.io/istio/pilot:1.31.1")
	set("docker.io/istio/pilot:1.29.0", corev1.EnvVar{Name: "ENABLE_MCS_HOST", Value: "true"})
	for reason, fix := range map[string]string{mesh.ReasonIstioTooOld: "upgrade Istio", mesh.ReasonMCSHost: "unset it"} {
		one.told(reason, func(e eventsv1.Event) bool {
			return e.Reason == reason && e.Regarding.Name == "istiod" && e.Type == corev1.EventTypeWarning && strings.Contains(e.Note, fix)
		})
	}
}

// TestConditionsGiveEvents: a condition that goes bad, and one that gets well, is told on the object too, with the words of
// the condition.
func TestConditionsGiveEvents(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.policyIs("high", metav1.ConditionTrue, v1alpha1.ReasonReady)
	for _, c := range []struct {
		name     string
		make     func() client.Object
		bad, fix string
		cure     func(client.Object)
		good     string
	}{
		{"ServiceExport", func() client.Object { return one.export("payment", "") }, "NoService", "create it, or delete the ServiceExport",
			func(client.Object) { one.service("payment", 1) }, "Valid"},
		{"WANPolicy", func() client.Object {
			twin := policy("twin", "lte", 31111, false)
			one.create(twin)
			return twin
		}, v1alpha1.ReasonPortConflict, "choose another port", func(twin client.Object) {
			change(one, twin.(*v1alpha1.WANPolicy), func(p *v1alpha1.WANPolicy) { p.Spec.Port = 31119 })
		}, v1alpha1.ReasonReady},
		{"Peer", func() client.Object {
			peer := (&member{cluster: shared.clusters[1], fleet: f}).asPeer()
			peer.Spec.Bootstrap.Addresses = []string{"127.0.0.1"}
			one.create(peer)
			return peer
		}, v1alpha1.ReasonInvalidAddress, "it must be routed over the SD-WAN", func(peer client.Object) {
			change(one, peer.(*v1alpha1.Peer), func(p *v1alpha1.Peer) { p.Spec.Bootstrap.Addresses = []string{shared.clusters[1].gatewayAddress()} })
		}, v1alpha1.ReasonAccepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			obj := c.make()
			tells := func(reason, words, kind string) {
				one.told(reason, func(e eventsv1.Event) bool {
					return e.Regarding.UID == obj.GetUID() && e.Reason == reason && e.Type == kind && strings.Contains(e.Note, words)
				})
			}
			tells(c.bad, c.fix, corev1.EventTypeWarning)
			c.cure(obj)
			tells(c.good, " is True: ", corev1.EventTypeNormal)
		})
	}
}
