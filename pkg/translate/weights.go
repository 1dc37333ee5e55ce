// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// AnnotationShares on a leg's VirtualService or a TCP path's ServiceEntry is Shares.String of the shares in use.
const AnnotationShares = "mcw.l7mp.io/shares"

// whole is what the shares of one service port sum to: percent.
const whole = 100

// Shares are the exporters' shares of a service port's traffic in percent, by cluster id. They sum to 100 and hold no zero.
type Shares map[string]int32

// String is "cluster=percent,..." in the order of cluster ids.
func (s Shares) String() string {
	parts := make([]string, 0, len(s))
	for _, c := range s.Clusters() {
		parts = append(parts, c+"="+strconv.Itoa(int(s[c])))
	}
	return strings.Join(parts, ",")
}

// Clusters are the clusters that have a share, sorted.
func (s Shares) Clusters() []string { return slices.Sorted(maps.Keys(s)) }

// ParseShares reads what String wrote; nil for anything else, which then counts as no shares yet.
func ParseShares(text string) Shares {
	if text == "" {
		return nil
	}
	s, sum := Shares{}, int32(0)
	for _, part := range strings.Split(text, ",") {
		cluster, number, ok := strings.Cut(part, "=")
		n, err := strconv.ParseInt(number, 10, 32)
		if _, twice := s[cluster]; !ok || err != nil || twice || cluster == "" || n < 1 || n > whole {
			return nil
		}
		s[cluster] = int32(n)
		sum += int32(n)
	}
	if sum != whole {
		return nil
	}
	return s
}

// NextShares are the shares that follow from the exporters' ready backends and the shares in use.
//
// Who has a share is exact: those that have backends and are neither draining nor drained; where there are none, those that
// have backends; where nobody has, all alike, so that whoever gets a backend first answers. How large a share is moves only
// when some share is off by more than an eighth of itself (and more than one percent), so that scaling pods does not make
// istiod push routes to every gateway.
func NextShares(previous Shares, exporters []Exporter) Shares {
	next := proportional(eligible(exporters))
	if sameClusters(previous, next) && near(previous, next) {
		return maps.Clone(previous)
	}
	return next
}

// closest narrows exporters to the own cluster where the service asks to be kept close and the own cluster can answer. Zones
// and nodes are of no use across clusters: all three values of trafficDistribution mean "the own cluster first".
func closest(exporters []Exporter, distribution *string, self string) []Exporter {
	if !prefersClose(distribution) {
		return exporters
	}
	own := filter(exporters, func(e Exporter) bool { return e.ClusterID == self && e.Ready > 0 && !e.leaves() })
	if len(own) == 0 {
		return exporters
	}
	return own
}

func prefersClose(distribution *string) bool {
	switch ptr.Deref(distribution, "") {
	case corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone,
		corev1.ServiceTrafficDistributionPreferSameNode:
		return true
	}
	return false
}

// clusterIDs are the clusters of exporters, sorted.
func clusterIDs(exporters []Exporter) []string {
	var out []string
	for _, e := range exporters {
		out = append(out, e.ClusterID)
	}
	slices.Sort(out)
	return out
}

// eligible are the exporters that may get traffic, at most whole of them (each share is at least one percent), those
// with most backends first. Those that are drained serve where the others are about to go, or out of reach.
func eligible(exporters []Exporter) []Exporter {
	ready := filter(exporters, func(e Exporter) bool { return e.Ready > 0 })
	if len(ready) == 0 {
		ready = exporters
	}
	chosen := slices.Clone(foremost(ready, Exporter.preference))
	slices.SortFunc(chosen, func(a, b Exporter) int {
		return cmp.Or(cmp.Compare(b.Ready, a.Ready), cmp.Compare(a.ClusterID, b.ClusterID))
	})
	return chosen[:min(len(chosen), whole)]
}

// proportional divides whole by ready backends: everyone gets one, the rest goes by largest remainder.
func proportional(exporters []Exporter) Shares {
	if len(exporters) == 0 {
		return nil
	}
	total := int64(0)
	for _, e := range exporters {
		total += backends(e)
	}
	type rest struct {
		cluster string
		rest    int64
	}
	shares, rests, given := Shares{}, make([]rest, 0, len(exporters)), int32(0)
	spare := int64(whole - len(exporters))
	for _, e := range exporters {
		exact := backends(e) * whole
		// What the one that everyone gets does not cover.
		over := max(exact-total, 0)
		n := min(over/total, spare)
		shares[e.ClusterID] = 1 + int32(n)
		given += 1 + int32(n)
		rests = append(rests, rest{e.ClusterID, over - n*total})
	}
	slices.SortStableFunc(rests, func(a, b rest) int { return cmp.Or(cmp.Compare(b.rest, a.rest), cmp.Compare(a.cluster, b.cluster)) })
	for i := 0; given < whole; i = (i + 1) % len(rests) {
		shares[rests[i].cluster]++
		given++
	}
	return trim(shares, given-whole)
}

// backends counts an exporter without backends as one: where it is asked, nobody has any.
func backends(e Exporter) int64 { return int64(max(e.Ready, 1)) }

// trim takes excess from the largest shares: the one that everyone gets may have summed up to more than whole.
func trim(shares Shares, excess int32) Shares {
	for ; excess > 0; excess-- {
		largest := ""
		for _, c := range shares.Clusters() {
			if largest == "" || shares[c] > shares[largest] {
				largest = c
			}
		}
		shares[largest]--
	}
	return shares
}

func sameClusters(a, b Shares) bool {
	return len(a) == len(b) && slices.Equal(a.Clusters(), b.Clusters())
}

// near says whether b is close enough to a to stay with a.
func near(a, b Shares) bool {
	for c, was := range a {
		if diff := was - b[c]; max(diff, -diff) > max(1, was/8) {
			return false
		}
	}
	return true
}

// foremost are those of in that have the least preference that any has.
func foremost[T any](in []T, preference func(T) preference) []T {
	if len(in) == 0 {
		return nil
	}
	least := preference(slices.MinFunc(in, func(a, b T) int { return cmp.Compare(preference(a), preference(b)) }))
	return filter(in, func(v T) bool { return preference(v) == least })
}

func filter[T any](in []T, keep func(T) bool) []T {
	var out []T
	for _, v := range in {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}
