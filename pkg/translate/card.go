// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Card is a cluster's card. Its generation is that of the previous one, or one more when anything else differs.
func Card(in CardInput) v1alpha1.ClusterAdvertisementSpec {
	card := v1alpha1.ClusterAdvertisementSpec{
		ClusterID:      in.Self.ID,
		ClusterUID:     in.Self.UID,
		Generation:     1,
		Identities:     in.Self.Identities,
		TrustRoot:      in.TrustRoot,
		Addresses:      sortedUnique(in.Addresses),
		Policies:       offered(in.Policies),
		Versions:       in.Versions,
		Advertisements: in.Advertisements,
		Drained:        sortedAcks(in.Drained),
	}
	if in.Previous == nil {
		return card
	}
	card.Generation = in.Previous.Generation
	if !equality.Semantic.DeepEqual(card, *in.Previous) {
		card.Generation++
	}
	return card
}

// offered are the policies on whose ports this cluster receives.
func offered(policies []v1alpha1.WANPolicy) []v1alpha1.OfferedPolicy {
	var out []v1alpha1.OfferedPolicy
	for _, p := range UsablePolicies(policies) {
		out = append(out, v1alpha1.OfferedPolicy{Name: p.Name, Tunnel: p.Spec.Tunnel, Port: p.Spec.Port})
	}
	return out
}

func sortedOffers(in []v1alpha1.OfferedPolicy) []v1alpha1.OfferedPolicy {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b v1alpha1.OfferedPolicy) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func sortedUnique(in []string) []string {
	out := unique(in)
	slices.Sort(out)
	return out
}

func sortedAcks(in []v1alpha1.DrainAck) []v1alpha1.DrainAck {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b v1alpha1.DrainAck) int {
		return cmp.Or(cmp.Compare(a.ClusterID, b.ClusterID), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Deadline, b.Deadline))
	})
	return slices.Compact(out)
}

// EffectiveCard is what may be believed of a peer: its card, or its Peer's bootstrap data while there is none or it has
// no address; with the identities pinned in the Peer, and with the addresses by which this cluster calls it.
func EffectiveCard(self Cluster, peer v1alpha1.Peer, card *v1alpha1.ClusterAdvertisementSpec) v1alpha1.ClusterAdvertisementSpec {
	out := v1alpha1.ClusterAdvertisementSpec{ClusterUID: peer.Spec.ClusterUID, Policies: slices.Clone(peer.Spec.Bootstrap.Policies)}
	if card != nil {
		card.DeepCopyInto(&out)
	}
	out.ClusterID = peer.Spec.ClusterID
	out.Identities = peer.Spec.Identities
	out.Addresses = usableAddresses(self, out.Addresses)
	if len(out.Addresses) == 0 {
		out.Addresses = usableAddresses(self, peer.Spec.Bootstrap.Addresses)
	}
	return out
}

// OwnCard is the own card with the own identities.
func OwnCard(self Cluster, card v1alpha1.ClusterAdvertisementSpec) v1alpha1.ClusterAdvertisementSpec {
	out := *card.DeepCopy()
	out.ClusterID, out.Identities = self.ID, self.Identities
	return out
}

// HandWrittenCard is the card of a cluster that is not joined, as an operator wrote it: its identities are pinned by that.
func HandWrittenCard(self Cluster, card v1alpha1.ClusterAdvertisementSpec) v1alpha1.ClusterAdvertisementSpec {
	out := *card.DeepCopy()
	out.Addresses = usableAddresses(self, out.Addresses)
	return out
}

// usableAddresses are the addresses that a peer's gateways may have and by which this cluster calls them, in one form,
// sorted.
func usableAddresses(self Cluster, in []string) []string {
	var out []string
	for _, a := range in {
		if addr, err := netip.ParseAddr(a); err == nil && CheckAddress(self, a) == nil {
			out = append(out, addr.String())
		}
	}
	return sortedUnique(inOneFamily(self.Families, out))
}

// Advertisement is what this cluster publishes about an export, as an object in mc-wan.
func Advertisement(self Cluster, spec v1alpha1.ServiceAdvertisementSpec) *v1alpha1.ServiceAdvertisement {
	a := &v1alpha1.ServiceAdvertisement{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: v1alpha1.ServiceAdvertisementKind},
		ObjectMeta: oursFor(AdvertisementName(self.ID, spec.Namespace, spec.Name), v1alpha1.PartAdvertisement,
			spec.Namespace, spec.Name),
		Spec: *spec.DeepCopy(),
	}
	a.Labels[v1alpha1.LabelSourceCluster] = self.ID
	return a
}
