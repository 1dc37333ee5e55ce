// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"strings"
	"testing"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// admitted is the AuthorizationPolicy of the ingress gateway that Fleet writes.
func admitted(t *testing.T, in FleetInput) *securityv1.AuthorizationPolicy {
	t.Helper()
	for _, o := range Fleet(in).Objects {
		if p, ok := o.(*securityv1.AuthorizationPolicy); ok && p.Name == IngressAdmissionName {
			return p
		}
	}
	t.Fatal("nobody is let in")
	return nil
}

// A peer that left is let in as long as it is said to be, and is told from those that are there.
func TestFormerPeersAreLetIn(t *testing.T) {
	self := Cluster{ID: "c1", Identities: v1alpha1.Identities{Egress: Identity("td-c1", "mcw-egress"), Ingress: Identity("td-c1", "mcw-ingress")}}
	both, one := []v1alpha1.Peer{peer("c2"), peer("c3")}, []v1alpha1.Peer{peer("c2")}
	before := admitted(t, FleetInput{Self: self, Peers: both})
	if got := FormerPeers(before, self, AcceptedPeers(self, both)); len(got) != 0 {
		t.Errorf("while both are there: %v", got)
	}
	former := FormerPeers(before, self, AcceptedPeers(self, one))
	left := strings.TrimPrefix(peer("c3").Spec.Identities.Egress, "spiffe://")
	if !slices.Equal(former, []string{left}) {
		t.Fatalf("c3 has left: %v", former)
	}
	lets := func(p *securityv1.AuthorizationPolicy) bool {
		return slices.Contains(p.Spec.Rules[0].From[0].Source.Principals, left)
	}
	if !lets(admitted(t, FleetInput{Self: self, Peers: one, FormerPeers: former})) {
		t.Error("it is turned away while it is to be let in")
	}
	if lets(admitted(t, FleetInput{Self: self, Peers: one})) {
		t.Error("it is let in for ever")
	}
}
