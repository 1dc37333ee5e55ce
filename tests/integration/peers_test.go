// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// unreadable are the ways in which a peer cannot be read, and what its Peer says then: why, and what to do.
func unreadable() map[fault][2]string {
	return map[fault][2]string{
		cut:           {v1alpha1.ReasonUnreachable, "check the SD-WAN, the peer's ingress gateway and spec.bootstrap"},
		turnedAway:    {v1alpha1.ReasonRefused, "apply this cluster's card at the peer"},
		otherIdentity: {v1alpha1.ReasonIdentityMismatch, "check that the address is the peer's"},
		garbled:       {v1alpha1.ReasonUnreadable, "stays in use"},
		halfway:       {v1alpha1.ReasonUnreadable, "stays in use"},
		firstPage:     {v1alpha1.ReasonUnreadable, "stays in use"},
	}
}

func TestPeerThatCannotBeReadLosesNothing(t *testing.T) {
	for fault, said := range unreadable() {
		t.Run(string(fault), func(t *testing.T) {
			f := joined(t, 2, func(o *controller.Options) { o.FeedTiming.VanishGrace = time.Second })
			one, two := f.members[0], f.members[1]
			two.service("payment", 1)
			export := two.export("payment", "high")
			two.service("ledger", 1)
			two.export("ledger", "")
			two.service("stock", 1)
			two.export("stock", "")
			for _, name := range []string{"payment", "ledger", "stock"} {
				one.imported(name, two.id)
			}

			f.gateways.set(one.id, two.id, fault)
			one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionFalse, said[0], said[1])
			one.peerIs(two.id, v1alpha1.ConditionReady, metav1.ConditionFalse, said[0], said[1])
			one.listsPeer(two.id, "False", said[0])
			before := one.versions()
			two.remove(export)
			one.always(time.Second, "nothing is deleted because a peer cannot be read", func() error {
				si := &mcsv1beta1.ServiceImport{}
				if err := one.isImported(si, "payment", two.id); err != nil {
					return err
				}
				return sameObjects(before, one.versions())
			})

			f.gateways.set(one.id, two.id, works)
			one.peerIs(two.id, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			one.listsPeer(two.id, "True", v1alpha1.ReasonSynced)
			one.nothingLeft(2*soon, "payment") // what it says counts again
		})
	}
}

// listsPeer compares what `kubectl get peers` says of a peer: whether it is ready, what its feed is, and since when.
func (m *member) listsPeer(id, ready, feed string) {
	m.fleet.t.Helper()
	row, err := m.columns("peers", id)
	if err != nil {
		m.fleet.t.Fatal(err)
	}
	if row["Ready"] != ready || row["Feed"] != feed {
		m.fleet.t.Errorf("kubectl get peers says %v, want Ready %s and Feed %s", row, ready, feed)
	}
	if age, err := time.ParseDuration(row["Feed Since"]); err != nil || age > time.Minute {
		m.fleet.t.Errorf("kubectl get peers says %v, want Feed Since as an age of seconds: %v", row, err)
	}
}

// columns are what kubectl prints of an object, by the heads of the columns.
func (m *member) columns(resource, name string) (map[string]string, error) {
	config := rest.CopyConfig(m.asController)
	config.APIPath, config.GroupVersion = "/apis", new(v1alpha1.GroupVersion())
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme())
	c, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, err
	}
	text, err := c.Get().Namespace(v1alpha1.Namespace).Resource(resource).Name(name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(m.fleet.t.Context()).Raw()
	if err != nil {
		return nil, err
	}
	var table metav1.Table
	if err := json.Unmarshal(text, &table); err != nil {
		return nil, err
	}
	if len(table.Rows) != 1 {
		return nil, fmt.Errorf("%s %s: %d rows", resource, name, len(table.Rows))
	}
	out := map[string]string{}
	for i, column := range table.ColumnDefinitions {
		out[column.Name] = fmt.Sprint(table.Rows[0].Cells[i])
	}
	return out, nil
}

// A peer that is well cannot be read when this cluster's controller starts, in each of the ways there are, one of which is
// that its list is begun and not ended: what was known of it stays as it is and in use, and what is new of others comes.
func TestRestartWithAnUnreadablePeerLosesNothing(t *testing.T) {
	f := joined(t, 3)
	one, two, three := f.members[0], f.members[1], f.members[2]
	for _, m := range []*member{two, three} {
		m.service("payment", 1)
		m.export("payment", "high")
	}
	for _, name := range []string{"only-here", "also-here"} {
		two.service(name, 1)
		two.export(name, "")
	}
	stand := func() error {
		for name, clusters := range map[string][]string{"payment": {two.id, three.id}, "only-here": {two.id}, "also-here": {two.id}} {
			if err := one.isImported(&mcsv1beta1.ServiceImport{}, name, clusters...); err != nil {
				return err
			}
		}
		return nil
	}
	one.eventually(soon, "all are imported", stand)
	for fault, said := range unreadable() {
		t.Run(string(fault), func(t *testing.T) {
			f.t = t
			one.settled() // paths that were used on the way there have gone
			one.down()
			before := one.written()
			f.gateways.set(one.id, two.id, fault)
			one.up()
			one.readsPeers(1)
			one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionFalse, said[0])
			one.always(2*time.Second, "nothing changes", func() error {
				if diff := difference(before, one.written()); diff != "" {
					return errors.New(diff)
				}
				return stand()
			})
			name := "new-" + strings.ReplaceAll(string(fault), " ", "-")
			three.service(name, 1)
			three.export(name, "")
			one.eventually(soon, "what is new comes all the same", func() error {
				return one.isImported(&mcsv1beta1.ServiceImport{}, name, three.id)
			})

			f.gateways.set(one.id, two.id, works)
			one.peerIs(two.id, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			one.readsPeers(2)
			if err := stand(); err != nil {
				t.Error(err)
			}
		})
	}
	f.t = t
	two.remove(&mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "only-here"}})
	one.nothingLeft(2*soon, "only-here") // what it says counts again
}

// sameObjects compares which objects there are.
func sameObjects(before, after map[string]string) error {
	for key := range before {
		if _, ok := after[key]; !ok {
			return fmt.Errorf("%s is gone", key)
		}
	}
	return nil
}

func TestNewImportsWaitForPeersThatHaveNotBeenRead(t *testing.T) {
	f := newFleet(t, 2, func(o *controller.Options) { o.PeerSyncTimeout = 15 * time.Second })
	one, two := f.members[0], f.members[1]
	f.gateways.set(one.id, two.id, cut)
	one.create(two.asPeer())
	one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionFalse, v1alpha1.ReasonUnreachable)
	one.service("payment", 1)
	one.export("payment", "")
	one.exportIs("payment", "Ready", metav1.ConditionTrue, "Ready")
	if err := one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "payment"); err != nil {
		t.Error(err)
	}
	one.peerIs(two.id, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGivenUp)
	one.imported("payment", one.id)
}

func TestNewImportsComeOnceThePeerHasBeenRead(t *testing.T) {
	f := newFleet(t, 2, func(o *controller.Options) { o.PeerSyncTimeout = time.Hour })
	one, two := f.members[0], f.members[1]
	two.create(one.asPeer())
	f.gateways.set(one.id, two.id, cut)
	one.create(two.asPeer())
	one.service("payment", 1)
	one.export("payment", "")
	one.exportIs("payment", "Ready", metav1.ConditionTrue, "Ready")
	one.always(time.Second, "no import", func() error { return one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "payment") })
	f.gateways.set(one.id, two.id, works)
	one.imported("payment", one.id)
}

func TestLeavingTakesWhatThePeerPublished(t *testing.T) {
	f := joined(t, 3, func(o *controller.Options) { o.LeaveLinger = 0 })
	one, two, three := f.members[0], f.members[1], f.members[2]
	two.service("payment", 1)
	two.export("payment", "high")
	three.service("payment", 1)
	three.export("payment", "high")
	one.imported("payment", two.id, three.id)
	if err := one.lets(two.id, two.identity(v1alpha1.EgressName), true); err != nil {
		t.Error(err)
	}

	one.remove(&v1alpha1.Peer{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: two.id}})
	one.imported("payment", three.id)
	one.eventually(soon, "its card and advertisements are gone", func() error {
		if err := one.gone(&v1alpha1.ClusterAdvertisement{}, v1alpha1.Namespace, two.id); err != nil {
			return err
		}
		return one.gone(&v1alpha1.ServiceAdvertisement{}, v1alpha1.Namespace, translate.AdvertisementName(two.id, f.namespace, "payment"))
	})
	one.eventually(soon, "it is not let in any more", func() error { return one.lets(two.id, two.identity(v1alpha1.EgressName), false) })
	two.peerIs(one.id, v1alpha1.ConditionFeedReady, metav1.ConditionFalse, v1alpha1.ReasonRefused)
	two.imported("payment", two.id, three.id)
}

// lets compares whether the ingress gateway admits a peer.
func (m *member) lets(id, identity string, want bool) error {
	policies := &securityv1.AuthorizationPolicyList{}
	if err := m.List(m.fleet.t.Context(), policies, client.InNamespace(v1alpha1.Namespace)); err != nil {
		return err
	}
	got := false
	for _, p := range policies.Items {
		for _, rule := range p.Spec.Rules {
			for _, from := range rule.From {
				for _, principal := range from.Source.Principals {
					got = got || "spiffe://"+principal == identity
				}
			}
		}
	}
	if got != want {
		return fmt.Errorf("%s is let in: %v, want %v", id, got, want)
	}
	return nil
}

// TestPeerThatIsNoLongerAcceptedIsNotSynced: nobody reads it, whatever was reported before.
func TestPeerThatIsNoLongerAcceptedIsNotSynced(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	synced := func(want float64) {
		t.Helper()
		one.eventually(soon, "the metric", func() error { return one.metric("mcwan_peer_synced", want, "peer", two.id) })
	}
	synced(1)
	peer := one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	addresses := peer.Spec.Bootstrap.Addresses
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Bootstrap.Addresses = []string{"127.0.0.1"} })
	one.peerIs(two.id, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidAddress)
	one.peerIs(two.id, v1alpha1.ConditionAdvertisementsAccepted, metav1.ConditionUnknown, v1alpha1.ReasonPending, "not accepted")
	synced(0)
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Bootstrap.Addresses = addresses })
	one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	synced(1)
}

func TestChangedCardReachesAPeerThatCannotRead(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	f.gateways.set(one.id, two.id, cut)
	one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionFalse, v1alpha1.ReasonUnreachable)
	slice := gatewaySlice()
	change(two, slice, func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{"10.22.0.77"} })
	one.eventually(soon, "the announced address is in use", func() error {
		peer := &v1alpha1.Peer{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: two.id}, peer); err != nil {
			return err
		}
		for _, hop := range peer.Status.Hops {
			if hop.Address != "10.22.0.77" {
				return fmt.Errorf("hops %v", peer.Status.Hops)
			}
		}
		return nil
	})
}

func TestAdvertisementsThatAreNotAllowedAreRefused(t *testing.T) {
	f := newFleet(t, 2)
	one, two := f.members[0], f.members[1]
	narrow := two.asPeer()
	narrow.Spec.Namespaces = []string{"somewhere-else"}
	one.create(narrow)
	two.create(one.asPeer())
	two.service("payment", 1)
	two.export("payment", "")
	two.imported("payment", two.id)
	peer := one.peerIs(two.id, v1alpha1.ConditionAdvertisementsAccepted, metav1.ConditionFalse, v1alpha1.ReasonSomeRefused)
	one.eventually(soon, "the refusal is told", func() error {
		if err := one.Get(t.Context(), client.ObjectKeyFromObject(peer), peer); err != nil {
			return err
		}
		refusals := peer.Status.Advertisements.Refusals
		if len(refusals) != 1 || refusals[0].Reason != v1alpha1.RefusedNamespace {
			return fmt.Errorf("refusals %v", refusals)
		}
		return nil
	})
	if err := one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "payment"); err != nil {
		t.Error(err)
	}
	change(one, peer, func(p *v1alpha1.Peer) { p.Spec.Namespaces = []string{"*"} })
	one.imported("payment", two.id)
	one.peerIs(two.id, v1alpha1.ConditionAdvertisementsAccepted, metav1.ConditionTrue, v1alpha1.ReasonAllAccepted)
}
