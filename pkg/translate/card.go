// SPDX-License-Identifier: Apache-2.0

package translate

import "github.com/l7mp/mc-wan/api/mcw/v1alpha1"

// Card is a cluster's card. Its generation is that of the previous one, or one more when anything else differs.
func Card(in CardInput) v1alpha1.ClusterAdvertisementSpec { return v1alpha1.ClusterAdvertisementSpec{} }

// EffectiveCard is what may be believed of a peer: its card, or its Peer's bootstrap data until that has been read, with
// the identities pinned in the Peer and without addresses that no peer may have.
func EffectiveCard(self Cluster, peer *v1alpha1.Peer, card *v1alpha1.ClusterAdvertisementSpec) v1alpha1.ClusterAdvertisementSpec {
	return v1alpha1.ClusterAdvertisementSpec{}
}
