// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Cards are the cards of the own cluster, of every accepted peer (see translate.EffectiveCard) and of clusters whose
// cards were written by hand, by cluster id.
func Cards(l Lister) []v1alpha1.ClusterAdvertisementSpec {
	self, written := Self(l), l.Cards()
	peers := l.Accepted()
	var out []v1alpha1.ClusterAdvertisementSpec
	for _, p := range peers {
		out = append(out, translate.EffectiveCard(self, p, cardFrom(written, p.Spec.ClusterID)))
	}
	for i := range written {
		c := &written[i]
		switch id := c.Spec.ClusterID; {
		case !trueSource(c.Labels, id):
		case id == self.ID && !IsByHand(c.Labels):
			out = append(out, translate.OwnCard(self, c.Spec))
		case IsByHand(c.Labels) && id != self.ID && peers[id].Name == "":
			out = append(out, translate.HandWrittenCard(self, c.Spec))
		}
	}
	slices.SortStableFunc(out, func(a, b v1alpha1.ClusterAdvertisementSpec) int { return cmp.Compare(a.ClusterID, b.ClusterID) })
	return slices.CompactFunc(out, func(a, b v1alpha1.ClusterAdvertisementSpec) bool { return a.ClusterID == b.ClusterID })
}

// Self is the own cluster with the address families of its gateways: those of the ingress gateways' Service, in which peers
// call this cluster. It calls them in the same ones.
func Self(l Lister) translate.Cluster {
	self := l.Self()
	if s := l.Service(v1alpha1.Namespace, v1alpha1.IngressName); s != nil {
		self.Families = s.Spec.IPFamilies
	}
	return self
}

// cardFrom is the card that was read from a peer; nil if none has been.
func cardFrom(cards []v1alpha1.ClusterAdvertisement, id string) *v1alpha1.ClusterAdvertisementSpec {
	for i := range cards {
		if cards[i].Spec.ClusterID == id && trueSource(cards[i].Labels, id) && !IsByHand(cards[i].Labels) {
			return &cards[i].Spec
		}
	}
	return nil
}

// Exports are the advertisements of a service that count, by cluster id: the own one, those of peers that may import into
// the namespace, and those that were written by hand for clusters that are not joined.
func Exports(l Lister, key types.NamespacedName) []v1alpha1.ServiceAdvertisementSpec {
	self, peers := l.Self(), l.Accepted()
	var out []v1alpha1.ServiceAdvertisementSpec
	for _, a := range l.Advertisements(key.Namespace, key.Name) {
		id := a.Spec.ClusterID
		if IsByHand(a.Labels) {
			if refuseByHand(self, peers, &a) == nil {
				out = append(out, *a.Spec.DeepCopy())
			}
			continue
		}
		if a.Spec.Namespace != key.Namespace || a.Spec.Name != key.Name || !trueSource(a.Labels, id) {
			continue
		}
		peer, joined := peers[id]
		own := id == self.ID && MayImport(nil, key.Namespace)
		if own || (joined && MayImport(peer.Spec.Namespaces, key.Namespace)) {
			spec := *a.Spec.DeepCopy()
			spec.Draining = spec.Draining || Withdrawn(peer.Status)
			out = append(out, spec)
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.ServiceAdvertisementSpec) int { return cmp.Compare(a.ClusterID, b.ClusterID) })
	return slices.CompactFunc(out, func(a, b v1alpha1.ServiceAdvertisementSpec) bool { return a.ClusterID == b.ClusterID })
}

// Withdrawn tells whether a Peer's status says that it has been out of reach for so long, or that it turns this cluster
// away, that its exports count as draining: chosen only where no other cluster serves.
func Withdrawn(peer v1alpha1.PeerStatus) bool { return WithdrawnBecause(peer) != "" }

// WithdrawnBecause is the reason of it; empty for none.
func WithdrawnBecause(peer v1alpha1.PeerStatus) string {
	c := meta.FindStatusCondition(peer.Conditions, v1alpha1.ConditionReachable)
	if c == nil || c.Status != metav1.ConditionFalse {
		return ""
	}
	return c.Reason
}

// MayImport says whether a peer with the given spec.namespaces may import into a namespace. Namespaces that run the
// cluster, the mesh or us are closed to all. A list that was never set allows the rest, like the CRD's default.
func MayImport(allowed []string, namespace string) bool {
	if mcs.ProtectedNamespace(namespace) {
		return false
	}
	return allowed == nil || slices.Contains(allowed, "*") || slices.Contains(allowed, namespace)
}

// Accepted are the peers that translate accepts, by cluster id: what Lister.Accepted returns.
func Accepted(self translate.Cluster, peers []v1alpha1.Peer) map[string]v1alpha1.Peer {
	out := map[string]v1alpha1.Peer{}
	for _, p := range translate.AcceptedPeers(self, peers) {
		out[p.Spec.ClusterID] = p
	}
	return out
}

// ownAdvertisement is what this cluster publishes about a service; nil for nothing.
func ownAdvertisement(l Lister, key types.NamespacedName) *v1alpha1.ServiceAdvertisement {
	self := l.Self().ID
	for _, a := range l.Advertisements(key.Namespace, key.Name) {
		if a.Spec.ClusterID == self && trueSource(a.Labels, self) && !IsByHand(a.Labels) {
			return &a
		}
	}
	return nil
}

// trueSource says that the label agrees with the content about who speaks.
func trueSource(labels map[string]string, id string) bool {
	return id != "" && labels[v1alpha1.LabelSourceCluster] == id
}
