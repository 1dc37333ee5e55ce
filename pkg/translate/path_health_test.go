// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// threeTunnels are two clusters with three tunnels each: 0 high@c2, 1 low@c2, 2 high@c3, 3 low@c3, 4 none@c2, 5 none@c3.
func threeTunnels(addresses ...string) PathInput {
	c2 := []string{"10.2.0.1"}
	c2 = append(c2, addresses...)
	all := []string{"high", "low", "none"}
	return PathInput{
		Key:      PathKey{Policy: "high", Exporter: "c2", Backup: "c3"},
		Policies: []v1alpha1.WANPolicy{policy("low", 300), policy("high", 100), policy("none", 0)},
		Cards:    []v1alpha1.ClusterAdvertisementSpec{card("c2", c2, all...), card("c3", []string{"10.3.0.1"}, all...)},
	}
}

// verdicts reads "high@c2=Dead low@c3/10.3.0.1=Degraded".
func verdicts(t *testing.T, in PathInput, text string) map[HopKey]v1alpha1.HopState {
	t.Helper()
	out := map[HopKey]v1alpha1.HopState{}
	for _, word := range strings.Fields(text) {
		what, state, _ := strings.Cut(word, "=")
		what, address, _ := strings.Cut(what, "/")
		found := false
		for _, h := range nominalOf(in) {
			if h.Policy+"@"+h.Cluster == what && (address == "" || address == h.Address) {
				out[h.HopKey], found = v1alpha1.HopState(state), true
			}
		}
		if !found {
			t.Fatalf("no hop %s", word)
		}
	}
	return out
}

// ordered is the order that verdicts and drains give; "low@c2=Drained" is the operator's wish, and no verdict.
func ordered(t *testing.T, in PathInput, health string) []Hop {
	t.Helper()
	in.Health = verdicts(t, in, health)
	for key, state := range in.Health {
		if state == "Drained" {
			delete(in.Health, key)
			in.Peers = append(in.Peers, v1alpha1.Peer{Spec: v1alpha1.PeerSpec{ClusterID: key.Cluster, Drain: []string{key.Policy}}})
		}
	}
	return in.inOrder(nominalOf(in))
}

func nominalOf(in PathInput) []Hop {
	return Rank(in.Key, in.Policies, in.Cards, NextShares(nil, in.Exporters).Clusters()...)
}

func TestHealthOrdersHops(t *testing.T) {
	for _, tc := range []struct {
		name, health, want string
		in                 PathInput
	}{{
		name: "unknown is as good as healthy", health: "high@c2=Unknown low@c2=Healthy",
		want: "0:high@c2/10.2.0.1 1:low@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:none@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "a degraded tunnel goes behind the others of its cluster, which stays first", health: "high@c2=Degraded",
		want: "0:low@c2/10.2.0.1 1:none@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:high@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "the third tunnel of the cluster comes before any other cluster", health: "high@c2=Degraded low@c2=Degraded",
		want: "0:none@c2/10.2.0.1 1:high@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:low@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "when all tunnels of a cluster are degraded the nominal order holds", health: "high@c2=Degraded low@c2=Degraded none@c2=Degraded",
		want: "0:high@c2/10.2.0.1 1:low@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:none@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "a dead tunnel leaves, and the next of its cluster takes its place", health: "high@c2=Dead",
		want: "0:low@c2/10.2.0.1 1:none@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "two dead tunnels: the cluster's last one comes before any other cluster", health: "high@c2=Dead low@c2=Dead",
		want: "0:none@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "degraded before dead", health: "high@c2=Degraded low@c2=Dead none@c2=Dead",
		want: "0:high@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "a dead cluster leaves to its backup", health: "high@c2=Dead low@c2=Dead none@c2=Dead",
		want: "2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "all dead, all stay", health: "high@c2=Dead low@c2=Dead none@c2=Dead high@c3=Dead low@c3=Dead none@c3=Dead",
		want: "0:high@c2/10.2.0.1 1:low@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:none@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "one gateway pod of two is degraded: the tunnel stays with the other, the pod waits in the last rank",
		in:   threeTunnels("10.2.0.2"), health: "high@c2/10.2.0.1=Degraded",
		want: "0:high@c2/10.2.0.2 1:low@c2/10.2.0.1 1:low@c2/10.2.0.2 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:high@c2/10.2.0.1 4:none@c2/10.2.0.1 4:none@c2/10.2.0.2 5:none@c3/10.3.0.1",
	}, {
		name: "a drained tunnel leaves as a dead one does", health: "high@c2=Drained",
		want: "0:low@c2/10.2.0.1 1:none@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "a drained cluster leaves its traffic to the backup", health: "high@c2=Drained low@c2=Drained none@c2=Drained",
		want: "2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 5:none@c3/10.3.0.1",
	}, {
		name:   "what is drained is used where nothing else lives",
		health: "high@c2=Drained low@c2=Dead none@c2=Dead high@c3=Dead low@c3=Dead none@c3=Dead",
		want:   "0:high@c2/10.2.0.1",
	}, {
		name: "what returns comes second", health: "high@c2=Returning",
		want: "0:low@c2/10.2.0.1 1:high@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:none@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "what returns and would not come first stays where it is", health: "low@c2=Returning",
		want: "0:high@c2/10.2.0.1 1:low@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:none@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "what returns comes first where nothing else is healthy", health: "high@c2=Returning low@c2=Degraded none@c2=Dead",
		want: "0:high@c2/10.2.0.1 1:low@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "two that return, and one that does not", health: "high@c2=Returning low@c2=Returning",
		want: "0:none@c2/10.2.0.1 1:high@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:low@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "what may be dead comes last, also after what is degraded", health: "high@c2=Doubted low@c2=Degraded none@c2=Degraded",
		want: "0:low@c2/10.2.0.1 1:none@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:high@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name:   "what may be dead comes last, also after other clusters where it is not all that its cluster has",
		health: "high@c2=Dead low@c2=Doubted none@c2=Dead",
		want:   "2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:low@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "what is drained is used rather than what may be dead", health: "high@c2=Drained low@c2=Doubted none@c2=Dead high@c3=Dead low@c3=Dead none@c3=Dead",
		want: "0:high@c2/10.2.0.1 4:low@c2/10.2.0.1",
	}, {
		name: "one gateway pod of two is dead", in: threeTunnels("10.2.0.2"), health: "high@c2/10.2.0.1=Dead",
		want: "0:high@c2/10.2.0.2 1:low@c2/10.2.0.1 1:low@c2/10.2.0.2 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:none@c2/10.2.0.1 4:none@c2/10.2.0.2 5:none@c3/10.3.0.1",
	}} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.in.Cards == nil {
				tc.in = threeTunnels()
			}
			if got := order(ordered(t, tc.in, tc.health)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// On a TCP leg's path all exporters share rank 0, whatever tunnel each of them is reached over: shares stay.
func TestHealthKeepsSharesOfTCP(t *testing.T) {
	in := threeTunnels("10.2.0.2")
	in.Key = PathKey{Policy: "high", TCP: WireKey{Namespace: "secure", Name: "db", Port: 5432}}
	in.Exporters = []Exporter{{ClusterID: "c2", Ready: 3}, {ClusterID: "c3", Ready: 1}}
	for _, health := range []string{"", "high@c2=Degraded", "high@c2=Dead", "high@c3=Dead low@c3=Degraded", "high@c2=Dead low@c2=Dead", "high@c2/10.2.0.1=Degraded"} {
		in.Health = verdicts(t, in, health)
		se, _ := pathOf(t, in)
		weights := map[string]uint32{}
		for _, e := range se.Spec.Endpoints {
			if applied(e.Labels, failoverPriority(3)) == 0 {
				weights[e.Address[:5]] += e.Weight
			}
		}
		if weights["10.2."] != 3*weights["10.3."] || weights["10.3."] == 0 {
			t.Errorf("health %q: weights in the first rank are %v, want 3 to 1", health, weights)
		}
	}
}

// Whatever the health of hops: the DestinationRule and the ranks that exist stay, no hop appears that was not there, none
// that lives is missing, an SLA moves nothing to another cluster, and a strict policy stays on its tunnel.
func TestHealthProperties(t *testing.T) {
	rng := rand.New(rand.NewSource(6))
	states := []v1alpha1.HopState{v1alpha1.HopUnknown, v1alpha1.HopHealthy, v1alpha1.HopDegraded, v1alpha1.HopDead, HopReturning, HopDoubted}
	for round := range 2000 {
		in := randomPath(rng)
		nominal := nominalOf(in)
		_, rule := pathOf(t, in)
		in.Health = map[HopKey]v1alpha1.HopState{}
		for _, h := range nominal {
			in.Health[h.HopKey] = states[rng.Intn(len(states))]
		}
		_, got := pathOf(t, in)
		same(t, rule, got)
		before := maps.Clone(in.Health)
		ordered := in.inOrder(nominal)
		if !maps.Equal(before, in.Health) || order(nominal) != order(nominalOf(in)) {
			t.Fatalf("round %d: the input was changed", round)
		}
		if why := wrong(in, nominal, ordered); why != "" {
			t.Fatalf("round %d: %s\nhealth  %v\nnominal %s\nordered %s", round, why, in.Health, order(nominal), order(ordered))
		}
	}
}

func randomPath(rng *rand.Rand) PathInput {
	in := PathInput{Key: PathKey{Policy: "p0", Exporter: "c2"}}
	names := []string{"p0", "p1", "p2", "p3"}[:1+rng.Intn(4)]
	for i, name := range names {
		p := policy(name, int32(100*(i+1)))
		if i == 0 && rng.Intn(4) == 0 {
			p = policy(name, 100, "Strict")
		}
		in.Policies = append(in.Policies, p)
	}
	if rng.Intn(2) == 0 {
		in.Key.Backup = "c3"
	}
	if rng.Intn(3) == 0 {
		in.Key = PathKey{Policy: "p0", TCP: WireKey{Namespace: "ns", Name: "db", Port: 5432}}
		in.Exporters = []Exporter{{ClusterID: "c2", Ready: 3}, {ClusterID: "c3", Ready: 1}}
	}
	for i, id := range []string{"c2", "c3"} {
		addresses := []string{"10.2.0.1", "10.2.0.2", "10.2.0.3"}[:1+rng.Intn(3)]
		for k := range addresses {
			addresses[k] = strings.Replace(addresses[k], "10.2", []string{"10.2", "10.3"}[i], 1)
		}
		in.Cards = append(in.Cards, card(id, addresses, names[:1+rng.Intn(len(names))]...))
	}
	return in
}

// wrong says what is not as it should be.
func wrong(in PathInput, nominal, ordered []Hop) string {
	state := func(h Hop) v1alpha1.HopState { return in.Health[h.HopKey] }
	living := filter(nominal, func(h Hop) bool { return state(h) != v1alpha1.HopDead })
	if len(living) == 0 {
		if order(nominal) != order(ordered) {
			return "all are dead and something moved"
		}
		return ""
	}
	if len(living) != len(ordered) {
		return "a living hop is missing, or a dead one is not"
	}
	for _, h := range ordered {
		switch {
		case !slices.ContainsFunc(living, func(o Hop) bool { return o.HopKey == h.HopKey }):
			return "a hop from nowhere, or a dead one"
		case !slices.Contains(ranksOf(nominal, h.Cluster), h.Rank):
			return "a cluster has a rank that was another's"
		case in.Policies[0].Spec.Failover != nil && h.Policy != "p0":
			return "a strict policy left its tunnel"
		}
	}
	for _, c := range clustersOf(living) {
		mine := filter(ordered, func(h Hop) bool { return h.Cluster == c })
		if why := wrongWithin(mine, ranksOf(nominal, c), state); why != "" {
			return why
		}
	}
	return ""
}

// wrongWithin says what is not as it should be with the hops of one cluster, which has these ranks.
func wrongWithin(mine []Hop, ranks []int, state func(Hop) v1alpha1.HopState) string {
	const well, degraded, doubted = 0, 1, 2
	level := func(h Hop) int {
		return map[v1alpha1.HopState]int{v1alpha1.HopDegraded: degraded, HopDoubted: doubted}[state(h)]
	}
	surely := filter(mine, func(h Hop) bool { return level(h) != doubted })
	if len(surely) > 0 && ranksOf(mine, mine[0].Cluster)[0] != ranks[0] {
		return "a cluster with a living hop lost its first rank"
	}
	for _, a := range mine {
		for _, b := range mine {
			switch {
			case level(a) < level(b) && a.Rank > b.Rank:
				return "a better hop comes behind a worse one of its cluster"
			case level(a) == well && level(b) > well && len(ranks) > 1 && b.Rank == ranks[0]:
				return "a degraded hop is first though its cluster has a healthy one"
			case level(b) == doubted && len(ranksOf(mine, b.Cluster)) < len(ranks) && b.Rank == ranks[0]:
				return "what may be dead is first though it could come later"
			}
		}
	}
	return ""
}
