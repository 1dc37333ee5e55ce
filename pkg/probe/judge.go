// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Judgement is which verdicts are acted on.
type Judgement struct {
	// Verdicts order the hops of paths. Hops that are missing are Unknown.
	Verdicts map[translate.HopKey]v1alpha1.HopState
	// Doubts say of a cluster why its hops are not reordered; clusters without doubt are missing.
	Doubts map[string]string
}

// Judge tells which verdicts can be true. Those that cannot move nothing: then Envoy's own detection rules alone.
//
// A cluster that is said to be dead on every hop while its feed is being read over one of them is not. Where every hop of
// every cluster is dead, or cannot be tried, the fault is more likely here than everywhere else.
func Judge(reports []Report, feedRead func(cluster string) bool) Judgement {
	out := Judgement{Verdicts: map[translate.HopKey]v1alpha1.HopState{}, Doubts: map[string]string{}}
	out.doubt(reports, feedRead)
	for _, r := range reports {
		if r.State != v1alpha1.HopUnknown && out.Doubts[r.Cluster] == "" {
			out.Verdicts[r.HopKey] = r.State
		}
	}
	return out
}

func (j *Judgement) doubt(reports []Report, feedRead func(string) bool) {
	silent, broken, all := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range reports {
		all[r.Cluster]++
		if r.Broken {
			broken[r.Cluster]++
		}
		if r.Broken || r.State == v1alpha1.HopDead {
			silent[r.Cluster]++
		}
	}
	lost := 0
	for cluster, n := range all {
		if silent[cluster] < n {
			continue
		}
		lost++
		switch {
		case broken[cluster] == n:
			j.Doubts[cluster] = "the prober cannot open connections; see the controller's log"
		case feedRead(cluster):
			j.Doubts[cluster] = "no hop answers the prober, but the peer's feed is read over one of them"
		}
	}
	if lost == len(all) && lost > 1 {
		for cluster := range all {
			j.Doubts[cluster] = "no hop of any peer answers the prober: the fault is probably in this cluster"
		}
	}
}
