// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

// mergeClusters lists the exporting clusters, KEP-1645 L531-535. It cannot conflict.
func mergeClusters(exports []export, m *Merged) *Conflict {
	for _, e := range exports {
		m.Clusters = append(m.Clusters, e.ClusterID)
	}
	slices.Sort(m.Clusters)
	return nil
}

// mergeType takes the oldest's type, KEP-1645 L1074-1078.
func mergeType(exports []export, m *Merged) *Conflict {
	m.Type = mcsv1beta1.ServiceImportType(exports[0].Type)
	return disagreement(exports, func(a, b export) bool { return a.Type == b.Type },
		mcsv1beta1.ServiceExportReasonTypeConflict, "type", fmt.Sprintf("%q", m.Type))
}

// mergeAffinity takes the oldest's session affinity, KEP-1645 L1080-1084. An empty one is None, as for a Service.
func mergeAffinity(exports []export, m *Merged) *Conflict {
	m.SessionAffinity = affinityOf(exports[0])
	return disagreement(exports, func(a, b export) bool { return affinityOf(a) == affinityOf(b) },
		mcsv1beta1.ServiceExportReasonSessionAffinityConflict, "session affinity", fmt.Sprintf("%q", m.SessionAffinity))
}

// mergeAffinityConfig takes the oldest's configuration of ClientIP affinity, KEP-1645 L1080-1084. Only exporters that want
// ClientIP have an opinion: that the others want none is told by mergeAffinity already.
func mergeAffinityConfig(exports []export, m *Merged) *Conflict {
	if m.SessionAffinity != corev1.ServiceAffinityClientIP {
		return nil
	}
	m.SessionAffinityConfig = exports[0].SessionAffinityConfig.DeepCopy()
	same := func(a, b export) bool {
		return affinityOf(a) != affinityOf(b) ||
			affinitySeconds(a.SessionAffinityConfig) == affinitySeconds(b.SessionAffinityConfig)
	}
	return disagreement(exports, same, mcsv1beta1.ServiceExportReasonSessionAffinityConfigConflict,
		"session affinity config", fmt.Sprintf("a timeout of %d seconds", affinitySeconds(m.SessionAffinityConfig)))
}

// mergeInternal takes the oldest's internal traffic policy, KEP-1645 L1086-1090. None is Cluster, as for a Service.
func mergeInternal(exports []export, m *Merged) *Conflict {
	if policy := exports[0].InternalTrafficPolicy; policy != nil {
		m.InternalTrafficPolicy = new(*policy)
	}
	return disagreement(exports, func(a, b export) bool { return internalOf(a) == internalOf(b) },
		mcsv1beta1.ServiceExportReasonInternalTrafficPolicyConflict, "internal traffic policy",
		fmt.Sprintf("%q", internalOf(exports[0])))
}

// mergeDistribution takes the oldest's traffic distribution, KEP-1645 L1092-1096.
func mergeDistribution(exports []export, m *Merged) *Conflict {
	using := "none"
	if oldest := exports[0].TrafficDistribution; oldest != nil {
		m.TrafficDistribution = new(*oldest)
		if *oldest != "" {
			using = fmt.Sprintf("%q", *oldest)
		}
	}
	same := func(a, b export) bool {
		return ptr.Deref(a.TrafficDistribution, "") == ptr.Deref(b.TrafficDistribution, "")
	}
	return disagreement(exports, same, mcsv1beta1.ServiceExportReasonTrafficDistributionConflict, "traffic distribution", using)
}

// mergeLabels takes the oldest's exported labels as a whole, KEP-1645 L1098-1103: maps are not merged.
func mergeLabels(exports []export, m *Merged) *Conflict {
	m.Labels, _ = ExportableLabels(exports[0].ExportedLabels)
	same := func(a, b export) bool { return maps.Equal(a.ExportedLabels, b.ExportedLabels) }
	return disagreement(exports, same, mcsv1beta1.ServiceExportReasonLabelsConflict, "exported labels", "those")
}

// mergeAnnotations takes the oldest's exported annotations as a whole, KEP-1645 L1098-1103.
func mergeAnnotations(exports []export, m *Merged) *Conflict {
	m.Annotations, _ = ExportableAnnotations(exports[0].ExportedAnnotations)
	same := func(a, b export) bool { return maps.Equal(a.ExportedAnnotations, b.ExportedAnnotations) }
	return disagreement(exports, same, mcsv1beta1.ServiceExportReasonAnnotationsConflict, "exported annotations", "those")
}

// mergeFamilies says which IP families the service has, KEP-1645 L488-496. Behind a ClusterSetIP the gateways carry either
// family to any backend, so nothing depends on the family and there is no conflict. A headless service gives out addresses
// of endpoints: with a family that only some exporters have, a client of that family would reach only some backends.
func mergeFamilies(exports []export, m *Merged) *Conflict {
	told := slices.DeleteFunc(slices.Clone(exports), func(e export) bool { return len(e.IPFamilies) == 0 })
	if len(told) == 0 {
		return nil
	}
	if m.Type != mcsv1beta1.Headless {
		m.IPFamilies = familyUnion(told)
		return nil
	}
	m.IPFamilies = commonFamilies(told)
	return disagreement(told, sameFamilies, mcsv1beta1.ServiceExportReasonIPFamilyConflict, "IP families",
		fmt.Sprintf("those that all clusters have, else those (%v)", m.IPFamilies))
}

// mergePolicy takes the WAN policy that the oldest export names, and its failover. The KEP knows neither, so a difference
// is not a Conflict.
func mergePolicy(exports []export, m *Merged) *Conflict {
	m.WANPolicy, m.Failover = exports[0].WANPolicy, exports[0].Failover.DeepCopy()
	using := "the default policy"
	if m.WANPolicy != "" {
		using = fmt.Sprintf("%q", m.WANPolicy)
	}
	if c := disagreement(exports, func(a, b export) bool { return a.WANPolicy == b.WANPolicy },
		v1alpha1.ReasonPolicyConflict, "WAN policy", using); c != nil {
		return c
	}
	return disagreement(exports, func(a, b export) bool { return equality.Semantic.DeepEqual(a.Failover, b.Failover) },
		v1alpha1.ReasonPolicyConflict, "failover", "that of the oldest export")
}

// mergeRules takes the rules of the oldest export that has some. An export without rules has nothing against them: it is no
// party to a conflict. Its cluster's ingress gateway denies nothing.
func mergeRules(exports []export, m *Merged) *Conflict {
	with := make([]export, 0, len(exports))
	for _, e := range exports {
		if e.Rules != nil {
			with = append(with, e)
		}
	}
	if len(with) == 0 {
		return nil
	}
	m.Rules = with[0].Rules
	return disagreement(with, func(a, b export) bool { return equality.Semantic.DeepEqual(a.Rules, b.Rules) },
		mcwanv1alpha1.ReasonRulesConflict, "L7 rules", "those")
}

// disagreement is the conflict between exports that are not the same as the first, nil if there are none. The wording is
// that of KEP-1645's example of a Conflict condition (L460): it names the winner and counts those who disagree.
func disagreement(exports []export, same func(a, b export) bool, reason mcsv1beta1.ServiceExportConditionReason, what, using string) *Conflict {
	disagree := 0
	for _, e := range exports[1:] {
		if !same(exports[0], e) {
			disagree++
		}
	}
	if disagree == 0 {
		return nil
	}
	return &Conflict{Reason: reason, Message: fmt.Sprintf("Conflicting %s. Using %s from oldest service export in %q. %d/%d clusters disagree.",
		what, using, exports[0].ClusterID, disagree, len(exports))}
}

func affinityOf(e export) corev1.ServiceAffinity {
	if e.SessionAffinity == "" {
		return corev1.ServiceAffinityNone
	}
	return e.SessionAffinity
}

// affinitySeconds is the timeout of ClientIP affinity, with the API server's default where it is not said.
func affinitySeconds(c *corev1.SessionAffinityConfig) int32 {
	if c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
		return corev1.DefaultClientIPServiceAffinitySeconds
	}
	return *c.ClientIP.TimeoutSeconds
}

func internalOf(e export) corev1.ServiceInternalTrafficPolicy {
	if e.InternalTrafficPolicy == nil {
		return corev1.ServiceInternalTrafficPolicyCluster
	}
	return *e.InternalTrafficPolicy
}

func familyUnion(exports []export) []corev1.IPFamily {
	var out []corev1.IPFamily
	for _, e := range exports {
		for _, f := range e.IPFamilies {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// commonFamilies are the families that all have, in the oldest's order; the oldest's if there are none.
func commonFamilies(exports []export) []corev1.IPFamily {
	out := slices.DeleteFunc(slices.Clone(exports[0].IPFamilies), func(f corev1.IPFamily) bool {
		return slices.ContainsFunc(exports, func(e export) bool { return !slices.Contains(e.IPFamilies, f) })
	})
	if len(out) == 0 {
		return slices.Clone(exports[0].IPFamilies)
	}
	return out
}

func sameFamilies(a, b export) bool {
	return len(a.IPFamilies) == len(b.IPFamilies) &&
		!slices.ContainsFunc(a.IPFamilies, func(f corev1.IPFamily) bool { return !slices.Contains(b.IPFamilies, f) })
}
