// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// maxRanks bounds the ranks of a path: the labels that make the order grow with its square. Two clusters on sixteen
// tunnels each; what comes after is not used.
const maxRanks = 32

// slot is one rank of a path before addresses are filled in: a policy, and the clusters reached over it. That a cluster
// has no gateway address at the moment, or that all are dead, does not remove a slot: the number of ranks is part of the
// DestinationRule, and a change there would make Envoy replace the whole cluster with its connections, where a hop that
// comes or goes is a change of endpoints.
type slot struct {
	policy   string
	clusters []string
}

// groups are the clusters of a TCP leg's path in the order in which they are asked: all at once, or the own one first.
// A group whose clusters cannot answer keeps its ranks and has no hops there.
type groups [][]string

func groupsOfExporters(in PathInput, shares Shares) groups {
	isSelf := func(c string) bool { return c == in.Self.ID }
	exports := slices.ContainsFunc(in.Exporters, func(e Exporter) bool { return isSelf(e.ClusterID) })
	if !exports || !prefersClose(in.TrafficDistribution) {
		return groups{shares.Clusters()}
	}
	return groups{{in.Self.ID}, filter(shares.Clusters(), func(c string) bool { return !isSelf(c) })}
}

// slots are the ranks of a path.
//
// On a shared path: the policy at the exporter, its first fallback there, the same two at the backup, then the other
// tunnels, at the exporter before the backup. So a failing tunnel moves to the next tunnel of the same cluster, and only
// a lost cluster moves to another. On a TCP leg's path a rank is a tunnel and holds all exporters of a group, who share it
// by weight.
func slots(key PathKey, policies []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec, tcp groups) []slot {
	order := tunnels(key, policies)
	var out []slot
	if key.TCP.IsZero() {
		out = sharedSlots(order, unique([]string{key.Exporter, key.Backup}), cards)
	} else {
		for _, clusters := range tcp {
			out = append(out, tcpSlots(order, clusters, cards)...)
		}
	}
	return out[:min(len(out), maxRanks)]
}

// sharedSlots is the order over one or two clusters.
func sharedSlots(order, clusters []string, cards []v1alpha1.ClusterAdvertisementSpec) []slot {
	const together = 2 // the policy and its first fallback
	var head, tail []slot
	rest := make([][]string, 0, len(clusters))
	for _, c := range clusters {
		offered := filter(order, func(p string) bool { return offers(cards, c, p) != nil })
		n := min(together, len(offered))
		for _, p := range offered[:n] {
			head = append(head, slot{p, []string{c}})
		}
		rest = append(rest, offered[n:])
	}
	for _, p := range order {
		for i, c := range clusters {
			if slices.Contains(rest[i], p) {
				tail = append(tail, slot{p, []string{c}})
			}
		}
	}
	return append(head, tail...)
}

// tcpSlots is the order over all exporters at once.
func tcpSlots(order, clusters []string, cards []v1alpha1.ClusterAdvertisementSpec) []slot {
	var out []slot
	for _, p := range order {
		at := filter(clusters, func(c string) bool { return offers(cards, c, p) != nil })
		if len(at) > 0 {
			out = append(out, slot{p, at})
		}
	}
	return out
}

// cardOf finds a cluster's card; nil if there is none.
func cardOf(cards []v1alpha1.ClusterAdvertisementSpec, cluster string) *v1alpha1.ClusterAdvertisementSpec {
	for i := range cards {
		if cards[i].ClusterID == cluster {
			return &cards[i]
		}
	}
	return nil
}

// offers is the policy as the cluster's card has it; nil if the cluster does not receive on it.
func offers(cards []v1alpha1.ClusterAdvertisementSpec, cluster, policy string) *v1alpha1.OfferedPolicy {
	card := cardOf(cards, cluster)
	if card == nil {
		return nil
	}
	for i := range card.Policies {
		if card.Policies[i].Name == policy {
			return &card.Policies[i]
		}
	}
	return nil
}

// Rank is the order of a path's hops: by rank, then by cluster, then by address. Exporters of a TCP leg's path are the
// clusters given; a shared path takes them from its key. A policy that a cluster's card does not offer is skipped there.
func Rank(key PathKey, policies []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec, tcpClusters ...string) []Hop {
	return hops(slots(key, policies, cards, groups{tcpClusters}), cards)
}

// hops fills gateway addresses into slots. Envoy takes an address once per cluster, so the first of equal ones stays.
func hops(ranks []slot, cards []v1alpha1.ClusterAdvertisementSpec) []Hop {
	type place struct {
		address string
		port    int32
	}
	seen := map[place]bool{}
	var out []Hop
	for rank, s := range ranks {
		for _, c := range s.clusters {
			offer := offers(cards, c, s.policy)
			addresses := slices.Clone(cardOf(cards, c).Addresses)
			slices.Sort(addresses)
			for _, a := range addresses {
				if at := (place{a, offer.Port}); !seen[at] {
					seen[at] = true
					key := HopKey{Cluster: c, Policy: s.policy, Address: a, Port: offer.Port}
					out = append(out, Hop{HopKey: key, Tunnel: offer.Tunnel, Rank: rank})
				}
			}
		}
	}
	return out
}
