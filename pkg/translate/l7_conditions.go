// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

// maxFindings bounds how many fields a condition names.
const maxFindings = 8

// RulesConditions are the conditions of a ServiceImport.mc-wan.l7mp.io that has no import here. They have no
// lastTransitionTime.
func RulesConditions(in LegInput) []metav1.Condition {
	return compile(in).conditions(nil)
}

// conditions are those of the rules, given the legs of the import; nil without rules.
func (c *compiled) conditions(legs []leg) []metav1.Condition {
	if c.in.Rules == nil {
		return nil
	}
	return []metav1.Condition{c.accepted(), c.resolved(), c.programmed(legs)}
}

func (c *compiled) condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: c.in.Rules.Generation}
}

func (c *compiled) accepted() metav1.Condition {
	if len(c.refused) > 0 {
		return c.condition(mcwanv1alpha1.ConditionAccepted, metav1.ConditionFalse, c.refused[0].reason,
			told(c.refused)+" Requests that such a rule matches, or could match, are answered with 500.")
	}
	return c.condition(mcwanv1alpha1.ConditionAccepted, metav1.ConditionTrue, mcwanv1alpha1.ReasonAccepted, "All rules can be carried out.")
}

func (c *compiled) resolved() metav1.Condition {
	switch {
	case !c.in.Merged.Exported():
		return c.condition(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionUnknown, mcwanv1alpha1.ReasonPending,
			"There are no dummy Services as long as no cluster exports the service.")
	case len(c.unresolved) > 0:
		return c.condition(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, c.unresolved[0].reason,
			told(c.unresolved)+" Its share of the requests is answered with an error.")
	}
	return c.condition(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, mcwanv1alpha1.ReasonResolvedRefs, "All references name a WAN policy that is on offer.")
}

func (c *compiled) programmed(legs []leg) metav1.Condition {
	switch {
	case !c.in.Merged.Exported():
		return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotImported,
			"No cluster exports a service "+c.in.Namespace+"/"+c.in.Name+" to this one; the rules wait for it.")
	case !slices.ContainsFunc(legs, func(l leg) bool { return len(l.rules) > 0 }):
		return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNoLeg,
			"The import has no HTTP port at the egress gateway that a rule is for.")
	}
	return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionTrue, mcwanv1alpha1.ReasonProgrammed,
		"The egress gateway's routes are written by these rules.")
}

// told is the text of findings, bounded.
func told(findings []finding) string {
	var parts []string
	for i, f := range findings {
		if i == maxFindings {
			parts = append(parts, "and more")
			break
		}
		parts = append(parts, f.message)
	}
	return strings.Join(parts, "; ") + "."
}
