// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// describe is an object as text.
func describe(o Object) string {
	data, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func TestCardGeneration(t *testing.T) {
	in := CardInput{
		Self:      Cluster{ID: "c1", UID: "u", Identities: v1alpha1.Identities{Egress: "e", Ingress: "i"}},
		Policies:  []v1alpha1.WANPolicy{aged(policy("low", 0), 1, 31112), aged(policy("high", 0), 2, 31111), aged(policy("taken", 0), 3, 31111)},
		Addresses: []string{"10.1.0.9", "10.1.0.1", "10.1.0.9"},
		Drained:   []v1alpha1.DrainAck{{ClusterID: "c2", Namespace: "b", Name: "x"}, {ClusterID: "c2", Namespace: "a", Name: "x"}},
	}
	first := Card(in)
	if first.Generation != 1 || !slices.Equal(first.Addresses, []string{"10.1.0.1", "10.1.0.9"}) {
		t.Errorf("got %+v", first)
	}
	want := []v1alpha1.OfferedPolicy{{Name: "high", Tunnel: "t-high", Port: 31111}, {Name: "low", Tunnel: "t-low", Port: 31112}}
	if !slices.Equal(first.Policies, want) {
		t.Errorf("a card offers what is received: got %v, want %v", first.Policies, want)
	}
	in.Previous = &first
	slices.Reverse(in.Addresses)
	slices.Reverse(in.Drained)
	if again := Card(in); !reflect.DeepEqual(again, first) {
		t.Errorf("nothing changed but the order, got %+v", again)
	}
	in.Advertisements = 1
	if next := Card(in); next.Generation != 2 {
		t.Errorf("a changed card has the next generation, got %d", next.Generation)
	}
}

func TestEffectiveCard(t *testing.T) {
	self, p := Cluster{ID: "c1", OwnAddress: within("10.96.0.0/16")}, peer("c2")
	boot := EffectiveCard(self, p, nil)
	if boot.ClusterID != "c2" || !slices.Equal(boot.Addresses, []string{"10.2.0.1"}) || len(boot.Policies) != 1 {
		t.Errorf("without a card the bootstrap data count, got %+v", boot)
	}
	lie := card("c9", []string{"10.2.0.7", "127.0.0.1", "10.96.0.1", "2001:DB8::1"}, "high", "low")
	lie.Identities = v1alpha1.Identities{Egress: "spiffe://evil/ns/x/sa/y", Ingress: "spiffe://evil/ns/x/sa/y"}
	got := EffectiveCard(self, p, &lie)
	if got.ClusterID != "c2" || got.Identities != p.Spec.Identities {
		t.Errorf("id and identities are the Peer's, got %+v", got)
	}
	if !slices.Equal(got.Addresses, []string{"10.2.0.7", "2001:db8::1"}) || len(got.Policies) != 2 {
		t.Errorf("the rest is the card's, without what no peer may have: %+v", got)
	}
	lie.Addresses = []string{"127.0.0.1"}
	if got := EffectiveCard(self, p, &lie); !slices.Equal(got.Addresses, []string{"10.2.0.1"}) {
		t.Errorf("a card without an address leaves the bootstrap ones, got %v", got.Addresses)
	}
}

// A peer is called in one family: the first of the own ones in which it has an address.
func TestPeersAreCalledInOneFamily(t *testing.T) {
	const v4, v6 = corev1.IPv4Protocol, corev1.IPv6Protocol
	both := []string{"10.2.0.7", "10.2.0.8", "2001:db8::7", "2001:db8::8"}
	for name, tc := range map[string]struct {
		own        []corev1.IPFamily
		theirs     []string
		wantedFrom int
		wantedTo   int
	}{
		"both here, IPv4 first":   {[]corev1.IPFamily{v4, v6}, both, 0, 2},
		"both here, IPv6 first":   {[]corev1.IPFamily{v6, v4}, both, 2, 4},
		"one here":                {[]corev1.IPFamily{v6}, both, 2, 4},
		"the second is in common": {[]corev1.IPFamily{v4, v6}, both[2:], 0, 2},
		"none is in common":       {[]corev1.IPFamily{v4}, both[2:], 0, 2},
		"not known":               {nil, both, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			self, theirs := Cluster{ID: "c1", Families: tc.own}, card("c2", tc.theirs, "high")
			want := tc.theirs[tc.wantedFrom:tc.wantedTo]
			if got := EffectiveCard(self, peer("c2"), &theirs).Addresses; !slices.Equal(got, want) {
				t.Errorf("joined: %v, want %v", got, want)
			}
			if got := HandWrittenCard(self, theirs).Addresses; !slices.Equal(got, want) {
				t.Errorf("by hand: %v, want %v", got, want)
			}
			if got := OwnCard(self, theirs).Addresses; !slices.Equal(got, tc.theirs) {
				t.Errorf("the own card: %v, want %v", got, tc.theirs)
			}
		})
	}
}
