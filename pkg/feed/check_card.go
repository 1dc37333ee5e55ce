// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Bounds on one card, as in the schema of its CRD.
const (
	maxAddresses = 32
	maxAddress   = 45 // characters
	maxPolicies  = 64
	maxDrained   = 4096
	maxUID       = 64
	maxTrustRoot = 128
	maxVersion   = 64
)

type cardRule func(Rules, *v1alpha1.ClusterAdvertisementSpec) verdict

func cardRules() []cardRule {
	return []cardRule{cardOfPeer, cardUID, cardIdentities, cardNumbers, cardWords, cardAddresses, cardPolicies, cardDrained}
}

// CheckCard judges a peer's card: ok, or the refusal, whose Reason is one for a Peer's condition or of a refusal.
func CheckCard(rules Rules, card *v1alpha1.ClusterAdvertisementSpec) (v1alpha1.Refusal, bool) {
	for _, rule := range cardRules() {
		if v := rule(rules, card); v.reason != "" {
			return v1alpha1.Refusal{Name: quote(card.ClusterID), Reason: v.reason, Message: v.message}, false
		}
	}
	return v1alpha1.Refusal{}, true
}

func cardOfPeer(r Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	if card.ClusterID != r.Peer.ClusterID {
		return refuse(v1alpha1.RefusedCluster, "the card's clusterID is %s, but the peer is %s: a cluster speaks only for itself", quote(card.ClusterID), r.Peer.ClusterID)
	}
	return accept()
}

func cardUID(r Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	if card.ClusterUID == "" || len(card.ClusterUID) > maxUID || len(validation.IsDNS1123Subdomain(card.ClusterUID)) != 0 {
		return refuse(v1alpha1.RefusedBounds, "the card's clusterUID must be the uid of the namespace kube-system")
	}
	if r.Peer.ClusterUID != "" && r.Peer.ClusterUID != card.ClusterUID {
		return refuse(v1alpha1.ReasonUIDMismatch, "the card's clusterUID is %s, but the Peer pins %s: if the cluster was built anew, apply its card again (mcwanctl card at the peer)",
			card.ClusterUID, quote(r.Peer.ClusterUID))
	}
	return accept()
}

// cardIdentities: identities are pinned in the Peer and never learned (docs/security.md).
func cardIdentities(r Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	if card.Identities != r.Peer.Identities {
		return refuse(v1alpha1.ReasonIdentityMismatch, "the card's identities are not those that the Peer pins: if the peer's gateways were given others, apply its card again (mcwanctl card at the peer)")
	}
	return accept()
}

func cardNumbers(_ Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	switch {
	case card.Generation < 1:
		return refuse(v1alpha1.RefusedBounds, "the card's generation is %d, must be at least 1", card.Generation)
	case card.Advertisements < 0:
		return refuse(v1alpha1.RefusedBounds, "the card's advertisements is %d, must not be negative", card.Advertisements)
	case card.Versions.Reader < 0:
		return refuse(v1alpha1.RefusedBounds, "the card's versions.reader is %d, must not be negative", card.Versions.Reader)
	}
	return accept()
}

func cardWords(_ Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	if len(card.TrustRoot) > maxTrustRoot || !printable(card.TrustRoot) {
		return refuse(v1alpha1.RefusedBounds, "the card's trustRoot must be a fingerprint of at most %d characters", maxTrustRoot)
	}
	for _, v := range []string{card.Versions.Controller, card.Versions.Istio, card.Versions.Kubernetes} {
		if len(v) > maxVersion || !printable(v) {
			return refuse(v1alpha1.RefusedBounds, "the card's versions must be printable and of at most %d characters", maxVersion)
		}
	}
	return accept()
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

func cardAddresses(r Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	if len(card.Addresses) > maxAddresses {
		return refuse(v1alpha1.RefusedBounds, "the card has %d addresses, at most %d are taken", len(card.Addresses), maxAddresses)
	}
	seen := map[netip.Addr]bool{}
	for _, a := range card.Addresses {
		if len(a) > maxAddress {
			return refuse(v1alpha1.RefusedAddress, "an address of the card is not an IP address")
		}
		if err := translate.CheckAddress(translate.Cluster{OwnAddress: r.OwnAddress}, a); err != nil {
			return refuse(v1alpha1.RefusedAddress, "an address of the card: %v", err)
		}
		addr := netip.MustParseAddr(a)
		switch {
		case addr.String() != a:
			return refuse(v1alpha1.RefusedAddress, "the card's address %s must be written as %s", quote(a), addr)
		case seen[addr]:
			return refuse(v1alpha1.RefusedAddress, "the card's address %s is listed twice", addr)
		}
		seen[addr] = true
	}
	return accept()
}

func cardPolicies(_ Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	if len(card.Policies) > maxPolicies {
		return refuse(v1alpha1.RefusedBounds, "the card has %d policies, at most %d are taken", len(card.Policies), maxPolicies)
	}
	names, ports := map[string]bool{}, map[int32]bool{}
	for _, p := range card.Policies {
		switch {
		case len(validation.IsDNS1123Label(p.Name)) != 0:
			return refuse(v1alpha1.RefusedName, "the card's policy %s must be a DNS label", quote(p.Name))
		case p.Tunnel != "" && len(validation.IsDNS1123Label(p.Tunnel)) != 0:
			return refuse(v1alpha1.RefusedName, "the card's tunnel %s must be a DNS label", quote(p.Tunnel))
		case p.Port < 1 || p.Port > 65535:
			return refuse(v1alpha1.RefusedPort, "the card's policy %s has port %d, which is not within 1 to 65535", p.Name, p.Port)
		case names[p.Name] || ports[p.Port]:
			return refuse(v1alpha1.RefusedPort, "the card's policy %s or its port %d is listed twice", p.Name, p.Port)
		}
		names[p.Name], ports[p.Port] = true, true
	}
	return accept()
}

func cardDrained(_ Rules, card *v1alpha1.ClusterAdvertisementSpec) verdict {
	if len(card.Drained) > maxDrained {
		return refuse(v1alpha1.RefusedBounds, "the card acknowledges %d drained advertisements, at most %d are taken", len(card.Drained), maxDrained)
	}
	for _, d := range card.Drained {
		for _, s := range []string{d.ClusterID, d.Namespace, d.Name} {
			if len(validation.IsDNS1123Label(s)) != 0 {
				return refuse(v1alpha1.RefusedName, "the card acknowledges a drained advertisement whose name %s is no DNS label", quote(s))
			}
		}
	}
	return accept()
}
