// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// field is one thing that exports say and that the merged service has from the oldest of those that say something.
type field struct {
	reason string
	// says is what an export says, with what is the same written in the same way; parties are those that count, nil for all.
	says    func(export) any
	parties func(exports []export) []export
	// value is what the merged service has; nil where that is looked at elsewhere.
	value func(Merged) any
}

// fields is KEP-1645's section on conflicts once more, in the plainest way: a rule is not trusted to be its own judge.
func fields() []field {
	return []field{
		{reason: "TypeConflict", says: func(e export) any { return e.Type }, value: func(m Merged) any { return string(m.Type) }},
		{
			reason: "SessionAffinityConflict", says: func(e export) any { return cmp.Or(e.SessionAffinity, "None") },
			value: func(m Merged) any { return m.SessionAffinity },
		},
		{
			reason: "SessionAffinityConfigConflict", parties: wantClientIP, says: func(e export) any { return secondsOf(e.SessionAffinityConfig) },
			value: func(m Merged) any { return secondsOf(m.SessionAffinityConfig) },
		},
		{
			reason: "InternalTrafficPolicyConflict", says: func(e export) any { return orElse(e.InternalTrafficPolicy, "Cluster") },
			value: func(m Merged) any { return orElse(m.InternalTrafficPolicy, "Cluster") },
		},
		{
			reason: "TrafficDistributionConflict", says: func(e export) any { return orElse(e.TrafficDistribution, "") },
			value: func(m Merged) any { return orElse(m.TrafficDistribution, "") },
		},
		{reason: "LabelsConflict", says: func(e export) any { return e.ExportedLabels }},
		{reason: "AnnotationsConflict", says: func(e export) any { return e.ExportedAnnotations }},
		{reason: "PortConflict", says: func(e export) any { return portsAsText(e) }},
		{reason: "IPFamilyConflict", parties: headlessOfAFamily, says: func(e export) any { return slices.Sorted(slices.Values(e.IPFamilies)) }},
	}
}

// besides are the fields of which the KEP knows nothing.
func besides() []field {
	return []field{
		{
			reason: "policy", says: func(e export) any { return []any{e.WANPolicy, e.Failover} },
			value: func(m Merged) any { return []any{m.WANPolicy, m.Failover} },
		},
		{
			reason: "rules", says: func(e export) any { return e.Rules }, value: func(m Merged) any { return m.Rules },
			parties: func(exports []export) []export {
				return slices.DeleteFunc(slices.Clone(exports), func(e export) bool { return e.Rules == nil })
			},
		},
	}
}

// wantClientIP are those with an opinion on the configuration of ClientIP affinity, if the service has that.
func wantClientIP(exports []export) []export {
	if exports[0].SessionAffinity != corev1.ServiceAffinityClientIP {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(exports), func(e export) bool { return e.SessionAffinity != corev1.ServiceAffinityClientIP })
}

// headlessOfAFamily are those whose pods are of families that are known, if clients are given the pods one by one.
func headlessOfAFamily(exports []export) []export {
	if exports[0].Type != "Headless" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(exports), func(e export) bool { return len(e.IPFamilies) == 0 })
}

func secondsOf(c *corev1.SessionAffinityConfig) int32 {
	if c == nil || c.ClientIP == nil {
		return 10800
	}
	return orElse(c.ClientIP.TimeoutSeconds, 10800)
}

func orElse[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func portText(p v1alpha1.AdvertisedPort) string {
	return fmt.Sprintf("%s %s %d", p.Name, cmp.Or(p.Protocol, "TCP"), p.Port)
}

func portsAsText(e export) []string {
	out := []string{}
	for _, p := range e.Ports {
		out = append(out, portText(p)+" "+orElse(p.AppProtocol, ""))
	}
	slices.Sort(out)
	return out
}

// checkOracle holds a merge to the second implementation. Exports must be valid; where one cluster has several of one
// time the KEP says nothing, and neither does this.
func checkOracle(t *testing.T, exports []export, m Merged) {
	t.Helper()
	exports = slices.SortedFunc(slices.Values(exports), func(a, b export) int {
		return cmp.Or(cmp.Compare(a.ExportedAt.Unix(), b.ExportedAt.Unix()), cmp.Compare(a.ClusterID, b.ClusterID))
	})
	var counted []export
	for _, e := range exports {
		i := slices.IndexFunc(counted, func(c export) bool { return c.ClusterID == e.ClusterID })
		if i >= 0 && counted[i].ExportedAt.Unix() == e.ExportedAt.Unix() {
			return
		}
		if i < 0 {
			counted = append(counted, e)
		}
	}
	if len(counted) == 0 {
		return
	}
	told := map[string]string{}
	for _, c := range m.Conflicts {
		told[string(c.Reason)] = c.Message
	}
	for _, f := range fields() {
		message, is := told[f.reason]
		f.check(t, counted, m, is, message)
		delete(told, f.reason)
	}
	for reason := range told {
		t.Fatalf("nobody disagrees about %s", reason)
	}
	for i, c := range []*Conflict{m.PolicyConflict, m.RulesConflict} {
		message := ""
		if c != nil {
			message = c.Message
		}
		besides()[i].check(t, counted, m, c != nil, message)
	}
	labels, _ := ExportableLabels(counted[0].ExportedLabels)
	annotations, _ := ExportableAnnotations(counted[0].ExportedAnnotations)
	if !equality.Semantic.DeepEqual([]any{m.Labels, m.Annotations}, []any{labels, annotations}) {
		t.Fatalf("labels %v and annotations %v, the oldest has %v and %v", m.Labels, m.Annotations, labels, annotations)
	}
	checkPorts(t, counted, m)
}

// check: there is a conflict exactly if two exports differ, it names the oldest and counts those that differ from it, and
// the value is the oldest's.
func (f field) check(t *testing.T, exports []export, m Merged, is bool, message string) {
	t.Helper()
	parties := exports
	if f.parties != nil {
		parties = f.parties(exports)
	}
	if len(parties) == 0 {
		if is {
			t.Fatalf("%s although nobody says anything: %s", f.reason, message)
		}
		return
	}
	differ := 0
	for _, e := range parties[1:] {
		if !equality.Semantic.DeepEqual(f.says(parties[0]), f.says(e)) {
			differ++
		}
	}
	if is != (differ > 0) {
		t.Fatalf("%s is told: %v, and %d differ from the oldest, %q", f.reason, is, differ, parties[0].ClusterID)
	}
	if is && (!strings.Contains(message, fmt.Sprintf("oldest service export in %q", parties[0].ClusterID)) && f.reason != "policy") {
		t.Fatalf("%s does not name %q: %s", f.reason, parties[0].ClusterID, message)
	}
	if f.value != nil && !equality.Semantic.DeepEqual(f.value(m), f.says(parties[0])) {
		t.Fatalf("%s: the value is %v, the oldest says %v", f.reason, f.value(m), f.says(parties[0]))
	}
}

// checkPorts: from the oldest on, each port whose name and number are free; it goes to those that have it.
func checkPorts(t *testing.T, exports []export, m Merged) {
	t.Helper()
	taken := map[string]bool{}
	var want []string
	for _, e := range exports {
		for _, p := range e.Ports {
			name, number := "name "+p.Name, fmt.Sprintf("number %s %d", cmp.Or(p.Protocol, "TCP"), p.Port)
			if taken[name] || taken[number] {
				continue
			}
			taken[name], taken[number] = true, true
			var at []string
			for _, other := range exports {
				for _, q := range other.Ports {
					if portText(p) == portText(q) {
						at = append(at, other.ClusterID)
					}
				}
			}
			slices.Sort(at)
			want = append(want, fmt.Sprintf("%s %q %v", portText(p), orElse(p.AppProtocol, ""), at))
		}
	}
	var got []string
	for _, p := range m.Ports {
		got = append(got, fmt.Sprintf("%s %s %d %q %v", p.Name, p.Protocol, p.Port, orElse(p.AppProtocol, ""), p.Clusters))
	}
	if !slices.Equal(want, got) {
		t.Fatalf("ports %v, want %v", got, want)
	}
}
