// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// peerCheck looks at one peer; older are the accepted ones that were there before.
type peerCheck func(self Cluster, p v1alpha1.Peer, older []v1alpha1.Peer) verdict

// peerChecks are in the order in which they are told.
func peerChecks() []peerCheck {
	return []peerCheck{peerIsOther, peerIsOnce, peerIdentities, peerAddresses, peerPolicies}
}

// ValidatePeers is the verdict on each Peer by name: its Accepted condition, without time.
func ValidatePeers(self Cluster, peers []v1alpha1.Peer) map[string]metav1.Condition {
	out := map[string]metav1.Condition{}
	verdicts := judgePeers(self, peers)
	for i := range peers {
		p := &peers[i]
		out[p.Name] = verdicts[p.Name].condition(v1alpha1.ConditionAccepted, p.Generation, v1alpha1.ReasonAccepted, "the card is in use")
	}
	return out
}

// WithUnknownDrains adds to the Accepted condition of a peer which names in spec.drain drain nothing, because neither this
// cluster nor the peer has a policy of that name: they may be misspelled. They are no reason to refuse the peer: the policy
// may come later than the Peer. offered are the peer's policies, as far as they are known.
func WithUnknownDrains(accepted metav1.Condition, p v1alpha1.Peer, policies []v1alpha1.WANPolicy, offered []v1alpha1.OfferedPolicy) metav1.Condition {
	var unknown []string
	for _, name := range p.Spec.Drain {
		isOffered := slices.ContainsFunc(offered, func(o v1alpha1.OfferedPolicy) bool { return o.Name == name })
		if name != allPolicies && !isOffered && policyByName(name, policies) == nil {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	if accepted.Status == metav1.ConditionTrue && len(unknown) > 0 {
		accepted.Message += fmt.Sprintf("; spec.drain names %s, but no such WANPolicy is known here or at the peer: nothing is drained by that",
			strings.Join(unknown, " and "))
	}
	return accepted
}

// AcceptedPeers are the peers that ValidatePeers accepts, by name.
func AcceptedPeers(self Cluster, peers []v1alpha1.Peer) []v1alpha1.Peer {
	verdicts := judgePeers(self, peers)
	out := filter(peers, func(p v1alpha1.Peer) bool { return !verdicts[p.Name].refuses })
	slices.SortFunc(out, func(a, b v1alpha1.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func judgePeers(self Cluster, peers []v1alpha1.Peer) map[string]verdict {
	out := map[string]verdict{}
	var older []v1alpha1.Peer
	for _, p := range oldestFirst(peers, peerMeta) {
		v := verdict{}
		for _, check := range peerChecks() {
			if v = check(self, p, older); !v.silent() {
				break
			}
		}
		out[p.Name] = v
		if !v.refuses {
			older = append(older, p)
		}
	}
	return out
}

func refused(reason, format string, args ...any) verdict {
	return verdict{reason: reason, message: fmt.Sprintf(format, args...), refuses: true}
}

func peerIsOther(self Cluster, p v1alpha1.Peer, _ []v1alpha1.Peer) verdict {
	switch {
	case len(validation.IsDNS1123Label(p.Spec.ClusterID)) > 0:
		return refused(v1alpha1.ReasonDuplicateID, "spec.clusterID must be a DNS label of at most 63 characters")
	case p.Spec.ClusterID == self.ID && (p.Spec.ClusterUID == "" || p.Spec.ClusterUID == self.UID || self.UID == ""):
		return refused(v1alpha1.ReasonOwnCluster, "this is the own cluster's card: apply the other cluster's card here and this one there")
	case p.Spec.ClusterID == self.ID:
		return refused(v1alpha1.ReasonDuplicateID, "this cluster's own id is %s as well: install one of the two under another cluster id", self.ID)
	case self.UID != "" && p.Spec.ClusterUID == self.UID:
		return refused(v1alpha1.ReasonOwnCluster, "spec.clusterUID is that of this cluster: apply the other cluster's card here")
	}
	return verdict{}
}

func peerIsOnce(_ Cluster, p v1alpha1.Peer, older []v1alpha1.Peer) verdict {
	for _, o := range older {
		switch {
		case o.Spec.ClusterID == p.Spec.ClusterID:
			return refused(v1alpha1.ReasonDuplicateID, "cluster id %s is already that of Peer %s; leave one of them", p.Spec.ClusterID, o.Name)
		case p.Spec.ClusterUID != "" && o.Spec.ClusterUID == p.Spec.ClusterUID:
			return refused(v1alpha1.ReasonDuplicateID, "spec.clusterUID is already that of Peer %s: the same cluster cannot join twice; leave one of them", o.Name)
		}
	}
	return verdict{}
}

// spiffe is a mesh identity as Istio issues it, without anything that could be read as a wildcard.
var spiffe = regexp.MustCompile(`^spiffe://[A-Za-z0-9._-]+/ns/[a-z0-9-]+/sa/[a-z0-9.-]+$`)

// peerIdentities: an identity that two clusters share tells neither from the other.
func peerIdentities(self Cluster, p v1alpha1.Peer, older []v1alpha1.Peer) verdict {
	for _, id := range []struct{ field, value string }{
		{"egress", p.Spec.Identities.Egress}, {"ingress", p.Spec.Identities.Ingress},
	} {
		if !spiffe.MatchString(id.value) {
			return refused(v1alpha1.ReasonInvalidIdentity,
				"spec.identities.%s must be spiffe://<trust domain>/ns/<namespace>/sa/<service account>", id.field)
		}
	}
	const fix = "give each cluster a trust domain of its own, or its gateways service accounts of their own (chart value gateways.serviceAccountSuffix)"
	if p.Spec.Identities.Egress == self.Identities.Egress || p.Spec.Identities.Ingress == self.Identities.Ingress {
		return refused(v1alpha1.ReasonInvalidIdentity, "spec.identities are those of this cluster's own gateways; %s", fix)
	}
	for _, o := range older {
		if p.Spec.Identities.Egress == o.Spec.Identities.Egress || p.Spec.Identities.Ingress == o.Spec.Identities.Ingress {
			return refused(v1alpha1.ReasonInvalidIdentity, "spec.identities are those of Peer %s as well; %s", o.Name, fix)
		}
	}
	return verdict{}
}

// CheckHandWrittenCard says why the card of a cluster that is not joined cannot be used as an operator wrote it: the rules
// of a Peer, but that its identities may be the own ones, since nobody is let in by them.
func CheckHandWrittenCard(self Cluster, card v1alpha1.ClusterAdvertisementSpec) error {
	if len(card.Addresses) == 0 {
		return errors.New("addresses: there must be one of the cluster's ingress gateway")
	}
	for _, a := range card.Addresses {
		if err := CheckAddress(self, a); err != nil {
			return fmt.Errorf("addresses: %w; it must be routed over the SD-WAN", err)
		}
	}
	if !spiffe.MatchString(card.Identities.Ingress) {
		return fmt.Errorf("identities.ingress: %q is not spiffe://<trust domain>/ns/<namespace>/sa/<service account>", card.Identities.Ingress)
	}
	if len(card.Policies) == 0 {
		return errors.New("policies: there must be a WAN policy on which the cluster receives")
	}
	return checkOffers(card.Policies)
}

func peerAddresses(self Cluster, p v1alpha1.Peer, _ []v1alpha1.Peer) verdict {
	if len(p.Spec.Bootstrap.Addresses) == 0 {
		return refused(v1alpha1.ReasonInvalidAddress, "spec.bootstrap.addresses must have an address of the peer's ingress gateway")
	}
	for _, a := range p.Spec.Bootstrap.Addresses {
		if err := CheckAddress(self, a); err != nil {
			return refused(v1alpha1.ReasonInvalidAddress, "spec.bootstrap.addresses: %v; it must be routed over the SD-WAN", err)
		}
	}
	return verdict{}
}

func peerPolicies(_ Cluster, p v1alpha1.Peer, _ []v1alpha1.Peer) verdict {
	if err := checkOffers(p.Spec.Bootstrap.Policies); err != nil {
		return refused(v1alpha1.ReasonInvalidAddress, "spec.bootstrap.%v", err)
	}
	return verdict{}
}

func checkOffers(offers []v1alpha1.OfferedPolicy) error {
	for _, o := range offers {
		if o.Port < 1 || o.Port > 65535 || len(validation.IsDNS1123Label(o.Name)) > 0 {
			return fmt.Errorf("policies: policy %q on port %d: the name must be a DNS label, the port within 1 to 65535", o.Name, o.Port)
		}
	}
	return nil
}
