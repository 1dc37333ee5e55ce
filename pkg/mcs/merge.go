// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// export is one valid export; what rules get is sorted by precedence.
type export = v1alpha1.ServiceAdvertisementSpec

// rule sets its part of the merged service and says what the exporters disagree about, if anything. A rule may read what
// earlier rules of the list have set.
type rule func(exports []export, m *Merged) *Conflict

// rules are all rules in the order in which their conflicts are told.
func rules() []rule {
	return []rule{
		mergeClusters,
		mergeType,
		mergePorts,
		mergeAffinity,
		mergeAffinityConfig,
		mergeInternal,
		mergeDistribution,
		mergeLabels,
		mergeAnnotations,
		mergeFamilies,
	}
}

// Merge merges the exports of one service name. The order of exports does not matter and they are left untouched; the
// result shares no memory with them.
func Merge(exports []v1alpha1.ServiceAdvertisementSpec) Merged {
	valid, ignored := sift(exports)
	m := Merged{Ignored: ignored}
	if len(valid) == 0 {
		return m
	}
	for _, rule := range rules() {
		if c := rule(valid, &m); c != nil {
			m.Conflicts = append(m.Conflicts, *c)
		}
	}
	m.PolicyConflict = mergePolicy(valid, &m)
	m.RulesConflict = mergeRules(valid, &m)
	mergeIdempotent(valid, &m)
	return m
}

// sift copies the valid exports, oldest first, and says what is wrong with the others. Of two exports of one cluster the
// one of higher precedence counts.
func sift(exports []export) (valid []export, ignored []Ignored) {
	for i := range exports {
		if err := Validate(exports[i]); err != nil {
			ignored = append(ignored, Ignored{ClusterID: exports[i].ClusterID, Err: err})
			continue
		}
		valid = append(valid, *exports[i].DeepCopy())
	}
	slices.SortFunc(valid, byPrecedence)
	seen := map[string]bool{}
	valid = slices.DeleteFunc(valid, func(e export) bool {
		if seen[e.ClusterID] {
			ignored = append(ignored, Ignored{ClusterID: e.ClusterID,
				Err: fmt.Errorf("clusterID: %q has another export of this name, of higher precedence; remove one", e.ClusterID)})
			return true
		}
		seen[e.ClusterID] = true
		return false
	})
	slices.SortFunc(ignored, func(a, b Ignored) int {
		return cmp.Or(cmp.Compare(a.ClusterID, b.ClusterID), cmp.Compare(a.Err.Error(), b.Err.Error()))
	})
	return valid, ignored
}

// byPrecedence is the order of KEP-1645 L1048-1052: oldest ServiceExport first. Creation times have a resolution of one
// second and come from different API servers, so equal ones happen; then the lower cluster id goes first. Whole seconds
// are compared because that is what survives the way to the other clusters, which have to agree.
func byPrecedence(a, b export) int {
	if c := cmp.Or(cmp.Compare(a.ExportedAt.Unix(), b.ExportedAt.Unix()), cmp.Compare(a.ClusterID, b.ClusterID)); c != 0 {
		return c
	}
	return cmp.Compare(canonical(a), canonical(b))
}

// canonical makes the order total for two exports of one cluster, so that the order of input never matters.
func canonical(e export) string {
	out, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(out)
}
