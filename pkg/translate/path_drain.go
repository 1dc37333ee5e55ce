// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// allPolicies in Peer.spec.drain stands for every policy.
const allPolicies = "*"

// DrainedPeers are the clusters to which nothing is to be sent over any policy.
func DrainedPeers(peers []v1alpha1.Peer) []string {
	var out []string
	for i := range peers {
		if spec := &peers[i].Spec; slices.Contains(spec.Drain, allPolicies) {
			out = append(out, spec.ClusterID)
		}
	}
	return unique(out)
}

// Drained tells whether the operator asks for a hop to be left alone: its policy's tunnel, its cluster, or both together.
func Drained(key HopKey, policies []v1alpha1.WANPolicy, peers []v1alpha1.Peer) bool {
	if p := policyByName(key.Policy, policies); p != nil && p.Spec.Drain {
		return true
	}
	for i := range peers {
		spec := &peers[i].Spec
		if spec.ClusterID == key.Cluster && (slices.Contains(spec.Drain, allPolicies) || slices.Contains(spec.Drain, key.Policy)) {
			return true
		}
	}
	return false
}

// usable are the hops that may be used: those that live and are not drained. If there are none, or nothing is known of them
// but that they were dead, it is those that live, because a drain must not make requests fail; if there are none either, all,
// because trying is then better than refusing.
func (in PathInput) usable(nominal []Hop) []Hop {
	living := filter(nominal, func(h Hop) bool { return in.Health[h.HopKey] != v1alpha1.HopDead })
	wanted := filter(living, func(h Hop) bool { return !Drained(h.HopKey, in.Policies, in.Peers) })
	if slices.ContainsFunc(wanted, func(h Hop) bool { return in.Health[h.HopKey] != HopDoubted }) {
		return wanted
	}
	return living
}
