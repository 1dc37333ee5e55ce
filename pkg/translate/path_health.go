// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Order are the hops of a path as its ServiceEntry has them: by the ranks that their health earns them, without the dead.
func Order(in PathInput) []Hop {
	ranks, shares := layout(in)
	return in.inUse(ranks, shares)
}

// inUse are the hops of clusters that can answer, in the order of their health.
func (in PathInput) inUse(ranks []slot, shares Shares) []Hop {
	return in.inOrder(answering(hops(ranks, in.Cards), shares))
}

// inOrder gives the hops of a path, whose ranks are the nominal ones, the ranks that their health earns them, and leaves
// out those that are dead or drained. When all are dead, all stay as they are.
//
// Each cluster keeps the ranks that it has nominally, and its tunnels take them in a new order: those that keep their
// service level before those that do not. So a tunnel that degrades or dies moves its traffic to the next tunnel of the
// same cluster, shares between clusters stay as they were, and only a cluster without any living hop loses its traffic to
// another one. How many ranks a path has does not change, so nothing but endpoints does. Among tunnels of the same health
// the nominal order holds. One that is returning comes second where another one is healthy: warm standby (standby.go) makes
// connections over the two that come first.
func (in PathInput) inOrder(nominal []Hop) []Hop {
	living, health := in.usable(nominal), in.Health
	if len(living) == 0 {
		return nominal
	}
	out := slices.Clone(living)
	for _, cluster := range clustersOf(nominal) {
		places, groups := ranksOf(nominal, cluster), groupsOf(living, cluster, health)
		for i, group := range groups {
			rank := group.placeIn(places, i, len(groups))
			for k := range out {
				if out[k].Cluster == cluster && group == groupOf(living[k], health) {
					out[k].Rank = rank
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Hop) int { return cmp.Compare(a.Rank, b.Rank) })
	return out
}

// Held is the verdict by which a hop is ordered that nothing is believed of but what was said before. Then nobody knows
// whether a dead hop still is: it is no longer left out, but comes last, where Envoy tries it when nothing else answers.
func Held(before v1alpha1.HopState, doubted bool) v1alpha1.HopState {
	if doubted && before == v1alpha1.HopDead {
		return HopDoubted
	}
	return before
}

// healthGroup is what moves together: the hops of a cluster over one tunnel that are equally healthy.
type healthGroup struct {
	// level is 0 for what keeps its service level, 1 for what does not, mayBeDead.
	level     int
	returning bool
	nominal   int
}

const mayBeDead = 2

// steady: it may come first.
func (g healthGroup) steady() bool { return g.level == 0 && !g.returning }

func groupOf(h Hop, health map[HopKey]v1alpha1.HopState) healthGroup {
	state := health[h.HopKey]
	level := map[v1alpha1.HopState]int{v1alpha1.HopDegraded: 1, HopDoubted: mayBeDead}[state]
	return healthGroup{level: level, returning: state == HopReturning, nominal: h.Rank}
}

// placeIn is the rank of the i-th of n groups among those of its cluster: what may be dead takes the last ones. A tunnel that
// is healthy at one gateway address and degraded at another is two groups, so there may be more groups than ranks: the last
// rank takes the rest.
func (g healthGroup) placeIn(ranks []int, i, n int) int {
	if g.level == mayBeDead {
		i += max(0, len(ranks)-n)
	}
	return ranks[min(i, len(ranks)-1)]
}

// groupsOf are the groups of a cluster's living hops, best first.
func groupsOf(living []Hop, cluster string, health map[HopKey]v1alpha1.HopState) []healthGroup {
	var out []healthGroup
	for _, h := range living {
		if g := groupOf(h, health); h.Cluster == cluster && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b healthGroup) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.nominal, b.nominal))
	})
	if i := slices.IndexFunc(out, healthGroup.steady); i > 0 {
		first := out[i]
		out = slices.Insert(slices.Delete(out, i, i+1), 0, first)
	}
	return out
}

func clustersOf(hops []Hop) []string {
	var out []string
	for _, h := range hops {
		out = append(out, h.Cluster)
	}
	return unique(out)
}

// ranksOf are the ranks that a cluster's hops have, in order.
func ranksOf(hops []Hop, cluster string) []int {
	var out []int
	for _, h := range hops {
		if h.Cluster == cluster && !slices.Contains(out, h.Rank) {
			out = append(out, h.Rank)
		}
	}
	slices.Sort(out)
	return out
}
