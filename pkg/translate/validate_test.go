// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

var start = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

func at(minutes int) metav1.Time {
	return metav1.NewTime(start.Add(time.Duration(minutes) * time.Minute))
}

func aged(p v1alpha1.WANPolicy, minutes int, port int32) v1alpha1.WANPolicy {
	p.CreationTimestamp, p.Spec.Port, p.Generation = at(minutes), port, 3
	return p
}

func TestValidatePolicies(t *testing.T) {
	byDefault := func(p v1alpha1.WANPolicy) v1alpha1.WANPolicy { p.Spec.Default = true; return p }
	for _, tc := range []struct {
		name     string
		policies []v1alpha1.WANPolicy
		cards    []v1alpha1.ClusterAdvertisementSpec
		about    string
		status   metav1.ConditionStatus
		reason   string
		says     string
	}{
		{"fine", []v1alpha1.WANPolicy{aged(policy("high", 0), 0, 31111)}, nil, "high", "True", v1alpha1.ReasonReady, "31111"},
		{"two on one port: the older has it", []v1alpha1.WANPolicy{aged(policy("a", 0), 2, 31111), aged(policy("b", 0), 1, 31111)}, nil,
			"b", "True", v1alpha1.ReasonReady, ""},
		{"two on one port: the younger is told", []v1alpha1.WANPolicy{aged(policy("a", 0), 2, 31111), aged(policy("b", 0), 1, 31111)}, nil,
			"a", "False", v1alpha1.ReasonPortConflict, "older WANPolicy b"},
		{"of one age: by name", []v1alpha1.WANPolicy{aged(policy("b", 0), 1, 31111), aged(policy("a", 0), 1, 31111)}, nil,
			"b", "False", v1alpha1.ReasonPortConflict, "a"},
		{"one that is refused takes no port", []v1alpha1.WANPolicy{aged(policy("A", 0), 1, 31111), aged(policy("b", 0), 2, 31111)}, nil,
			"b", "True", v1alpha1.ReasonReady, ""},
		{"Istio's port", []v1alpha1.WANPolicy{aged(policy("a", 0), 1, 15021)}, nil, "a", "False", v1alpha1.ReasonPortReserved, "Istio"},
		{"a leg's port", []v1alpha1.WANPolicy{aged(policy("a", 0), 1, 20000)}, nil, "a", "False", v1alpha1.ReasonPortReserved, "legs"},
		{"the feed's port", []v1alpha1.WANPolicy{aged(policy("a", 0), 1, 9443)}, nil, "a", "False", v1alpha1.ReasonPortReserved, "feeds"},
		{"a privileged port", []v1alpha1.WANPolicy{aged(policy("a", 0), 1, 443)}, nil, "a", "False", v1alpha1.ReasonInvalid, "1024"},
		{"no port", []v1alpha1.WANPolicy{aged(policy("a", 0), 1, 0)}, nil, "a", "False", v1alpha1.ReasonInvalid, "1024"},
		{"two defaults", []v1alpha1.WANPolicy{byDefault(aged(policy("a", 0), 2, 31111)), byDefault(aged(policy("b", 0), 1, 31112))}, nil,
			"a", "True", v1alpha1.ReasonDefaultConflict, "older WANPolicy b"},
		{"unknown fallback", []v1alpha1.WANPolicy{aged(policy("a", 0, "Ordered", "x"), 1, 31111)}, nil,
			"a", "True", v1alpha1.ReasonUnknownFailover, "names x"},
		{"another tunnel at a peer", []v1alpha1.WANPolicy{aged(policy("a", 0), 1, 31111)},
			[]v1alpha1.ClusterAdvertisementSpec{{ClusterID: "c2", Policies: []v1alpha1.OfferedPolicy{{Name: "a", Tunnel: "lte", Port: 1}}}},
			"a", "True", v1alpha1.ReasonDiffersAtPeer, "cluster c2 says its tunnel is lte"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			expect(t, ValidatePolicies(tc.policies, tc.cards)[tc.about], v1alpha1.ConditionReady, tc.status, tc.reason, tc.says)
			usable := false
			for _, p := range UsablePolicies(tc.policies) {
				usable = usable || p.Name == tc.about
			}
			if usable != (tc.status == metav1.ConditionTrue) {
				t.Errorf("usable: %v", usable)
			}
		})
	}
}

func expect(t *testing.T, got metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, says string) {
	t.Helper()
	if got.Type != conditionType || got.Status != status || got.Reason != reason || !strings.Contains(got.Message, says) {
		t.Errorf("got %s=%s, %s: %q; want %s=%s, %s: ...%s...", got.Type, got.Status, got.Reason, got.Message, conditionType, status, reason, says)
	}
	if got.ObservedGeneration != 3 || got.Message == "" || !got.LastTransitionTime.IsZero() {
		t.Errorf("generation, message and no time are needed: %+v", got)
	}
}

func peer(id string, change ...func(*v1alpha1.PeerSpec)) v1alpha1.Peer {
	p := v1alpha1.Peer{
		ObjectMeta: metav1.ObjectMeta{Name: id, Generation: 3, CreationTimestamp: start},
		Spec: v1alpha1.PeerSpec{
			ClusterID: id, ClusterUID: "uid-" + id,
			Identities: v1alpha1.Identities{Egress: Identity("td-"+id, "mcw-egress"), Ingress: Identity("td-"+id, "mcw-ingress")},
			Bootstrap:  v1alpha1.Bootstrap{Addresses: []string{"10.2.0.1"}, Policies: []v1alpha1.OfferedPolicy{{Name: "high", Port: 31111}}},
		},
	}
	for _, c := range change {
		c(&p.Spec)
	}
	return p
}

func within(cidrs ...string) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return InRanges(cidrs, a) }
}

func TestValidatePeers(t *testing.T) {
	self := Cluster{
		ID: "c1", UID: "uid-c1", OwnAddress: within("10.96.0.0/16", "fd00:96::/108"),
		Identities: v1alpha1.Identities{Egress: Identity("td-c1", "mcw-egress"), Ingress: Identity("td-c1", "mcw-ingress")},
	}
	address := func(a string) v1alpha1.Peer {
		return peer("c2", func(s *v1alpha1.PeerSpec) { s.Bootstrap.Addresses = []string{"10.2.0.1", a} })
	}
	younger := func(p v1alpha1.Peer) v1alpha1.Peer { p.CreationTimestamp = at(1); return p }
	renamed := func(p v1alpha1.Peer, name string) v1alpha1.Peer { p.Name = name; return p }
	identity := func(id, egress, ingress string) v1alpha1.Peer {
		return peer(id, func(s *v1alpha1.PeerSpec) { s.Identities = v1alpha1.Identities{Egress: egress, Ingress: ingress} })
	}
	c2, fine := peer("c2"), v1alpha1.ReasonAccepted
	for _, tc := range []struct {
		name   string
		peers  []v1alpha1.Peer
		about  string
		reason string
		says   string
	}{
		{"fine", []v1alpha1.Peer{c2}, "c2", fine, ""},
		{"two", []v1alpha1.Peer{c2, peer("c3")}, "c3", fine, ""},
		{"the own card", []v1alpha1.Peer{peer("c1")}, "c1", v1alpha1.ReasonOwnCluster, "own cluster's card"},
		{"the own cluster under another id", []v1alpha1.Peer{peer("cx", func(s *v1alpha1.PeerSpec) { s.ClusterUID = "uid-c1" })}, "cx", v1alpha1.ReasonOwnCluster, "clusterUID"},
		{"another cluster with the own id", []v1alpha1.Peer{peer("c1", func(s *v1alpha1.PeerSpec) { s.ClusterUID = "other" })}, "c1", v1alpha1.ReasonDuplicateID, "another cluster id"},
		{"the same cluster twice", []v1alpha1.Peer{c2, younger(peer("c3", func(s *v1alpha1.PeerSpec) { s.ClusterUID = "uid-c2" }))}, "c3", v1alpha1.ReasonDuplicateID, "Peer c2"},
		{"the same id twice", []v1alpha1.Peer{c2, younger(renamed(peer("c2"), "z"))}, "z", v1alpha1.ReasonDuplicateID, "Peer c2"},
		{"the older one stays", []v1alpha1.Peer{younger(peer("c3", func(s *v1alpha1.PeerSpec) { s.ClusterUID = "uid-c2" })), c2}, "c2", fine, ""},
		{"no cluster id", []v1alpha1.Peer{peer("C_2")}, "C_2", v1alpha1.ReasonDuplicateID, "DNS label"},
		{"no address", []v1alpha1.Peer{peer("c2", func(s *v1alpha1.PeerSpec) { s.Bootstrap.Addresses = nil })}, "c2", v1alpha1.ReasonInvalidAddress, "must have"},
		{"a name", []v1alpha1.Peer{address("example.org")}, "c2", v1alpha1.ReasonInvalidAddress, "not an IP"},
		{"loopback", []v1alpha1.Peer{address("127.0.0.1")}, "c2", v1alpha1.ReasonInvalidAddress, "loopback"},
		{"loopback, IPv6", []v1alpha1.Peer{address("::1")}, "c2", v1alpha1.ReasonInvalidAddress, "loopback"},
		{"loopback in disguise", []v1alpha1.Peer{address("::ffff:127.0.0.1")}, "c2", v1alpha1.ReasonInvalidAddress, "plain form"},
		{"link-local", []v1alpha1.Peer{address("169.254.169.254")}, "c2", v1alpha1.ReasonInvalidAddress, "link-local"},
		{"link-local with zone", []v1alpha1.Peer{address("fe80::1%eth0")}, "c2", v1alpha1.ReasonInvalidAddress, "plain form"},
		{"multicast", []v1alpha1.Peer{address("ff02::1")}, "c2", v1alpha1.ReasonInvalidAddress, "multicast"},
		{"unspecified", []v1alpha1.Peer{address("0.0.0.0")}, "c2", v1alpha1.ReasonInvalidAddress, "unspecified"},
		{"broadcast", []v1alpha1.Peer{address("255.255.255.255")}, "c2", v1alpha1.ReasonInvalidAddress, "reserved"},
		{"own ClusterIP", []v1alpha1.Peer{address("10.96.0.1")}, "c2", v1alpha1.ReasonInvalidAddress, "ClusterIP"},
		{"own ClusterIP, IPv6", []v1alpha1.Peer{address("fd00:96::1")}, "c2", v1alpha1.ReasonInvalidAddress, "ClusterIP"},
		{"IPv6", []v1alpha1.Peer{address("2001:db8::1")}, "c2", fine, ""},
		{"no identity", []v1alpha1.Peer{identity("c2", "", c2.Spec.Identities.Ingress)}, "c2", v1alpha1.ReasonInvalidIdentity, "identities.egress"},
		{"a wildcard", []v1alpha1.Peer{identity("c2", c2.Spec.Identities.Egress, "spiffe://td-c2/ns/mc-wan/sa/*")}, "c2", v1alpha1.ReasonInvalidIdentity, "identities.ingress"},
		{"the own identity", []v1alpha1.Peer{identity("c2", self.Identities.Egress, c2.Spec.Identities.Ingress)}, "c2", v1alpha1.ReasonInvalidIdentity, "trust domain of its own"},
		{"another peer's identity", []v1alpha1.Peer{c2, younger(identity("c3", c2.Spec.Identities.Egress, Identity("td-c3", "mcw-ingress")))}, "c3", v1alpha1.ReasonInvalidIdentity, "Peer c2"},
		{"a bad port", []v1alpha1.Peer{peer("c2", func(s *v1alpha1.PeerSpec) { s.Bootstrap.Policies[0].Port = 0 })}, "c2", v1alpha1.ReasonInvalidAddress, "policy \"high\" on port 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status := metav1.ConditionFalse
			if tc.reason == fine {
				status = metav1.ConditionTrue
			}
			expect(t, ValidatePeers(self, tc.peers)[tc.about], v1alpha1.ConditionAccepted, status, tc.reason, tc.says)
			isIn := false
			for _, p := range AcceptedPeers(self, tc.peers) {
				isIn = isIn || p.Name == tc.about
			}
			if isIn != (status == metav1.ConditionTrue) {
				t.Errorf("accepted: %v", isIn)
			}
		})
	}
}

// A Peer that is refused must open nothing.
func TestRefusedPeersAreNotAdmitted(t *testing.T) {
	self := Cluster{ID: "c1", UID: "u", Identities: v1alpha1.Identities{Egress: Identity("td-c1", "e"), Ingress: Identity("td-c1", "i")}}
	bad := peer("c3", func(s *v1alpha1.PeerSpec) { s.Bootstrap.Addresses = []string{"127.0.0.1"} })
	out := Fleet(FleetInput{Self: self, Peers: []v1alpha1.Peer{peer("c2"), bad}})
	for _, o := range out.Objects {
		if text := describe(o); strings.Contains(text, "td-c3") || strings.Contains(text, "/peers/c3/") {
			t.Errorf("%s speaks of the refused peer", o.GetName())
		}
	}
}

// A name in spec.drain that no policy has is told and refuses nothing.
func TestUnknownDrainsAreNamed(t *testing.T) {
	here, there := []v1alpha1.WANPolicy{policy("high", 0)}, []v1alpha1.OfferedPolicy{{Name: "theirs", Port: 31113}}
	const told = `the card is in use; spec.drain names %s, but no such WANPolicy is known here or at the peer: nothing is drained by that`
	for _, tc := range []struct {
		drain []string
		want  string
	}{
		{nil, "the card is in use"},
		{[]string{"*", "high", "theirs"}, "the card is in use"},
		{[]string{"high", "hihg"}, fmt.Sprintf(told, `"hihg"`)},
		{[]string{"hihg", "lwo"}, fmt.Sprintf(told, `"hihg" and "lwo"`)},
	} {
		p := peer("c2")
		p.Spec.Drain = tc.drain
		accepted := ValidatePeers(Cluster{ID: "c1"}, []v1alpha1.Peer{p})[p.Name]
		got := WithUnknownDrains(accepted, p, here, there)
		if got.Status != metav1.ConditionTrue || got.Reason != v1alpha1.ReasonAccepted || got.Message != tc.want {
			t.Errorf("%v: %+v, want %q", tc.drain, got, tc.want)
		}
	}
	refused := metav1.Condition{Status: metav1.ConditionFalse, Message: "no"}
	p := peer("c2")
	p.Spec.Drain = []string{"hihg"}
	if got := WithUnknownDrains(refused, p, here, there); got != refused {
		t.Errorf("refused for another reason: %+v", got)
	}
}
