// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// maxFindings bounds how many fields a condition names.
const maxFindings = 8

// importRules are the rules for an import.
type importRules struct {
	in LegInput
	// own are the consumer's, inForce those that its requests follow: the consumer's, or the owner's.
	own, inForce *compiled
}

// rulesOf reads the rules for an import: the consumer's own if there are any and the owner lets them be, else the owner's.
func rulesOf(in LegInput) importRules {
	set := ruleSet{
		namespace: in.Namespace, name: in.Name, offered: in.Offered, policies: in.Policies, ports: portsOf(in.Merged),
	}
	out := importRules{in: in}
	if in.Rules != nil {
		own := set
		own.rules, own.generation = in.Rules.Spec.HTTP.Rules, in.Rules.Generation
		out.own = compile(own)
	}
	switch owner := in.Merged.Rules; {
	case out.own != nil && !out.refusedByOwner():
		out.inForce = out.own
	case owner != nil:
		set.rules, set.byOwner, set.choosing = owner.HTTP.Rules, true, true
		out.inForce = compile(set)
	default:
		out.inForce = compile(set)
	}
	return out
}

func portsOf(merged mcs.Merged) []mcsv1beta1.ServicePort {
	out := make([]mcsv1beta1.ServicePort, 0, len(merged.Ports))
	for _, p := range merged.Ports {
		out = append(out, p.ServicePort)
	}
	return out
}

// refusedByOwner says that the owner of the service lets no consumer have rules of its own.
func (r importRules) refusedByOwner() bool {
	owner := r.in.Merged.Rules
	return owner != nil && owner.ConsumerRules == mcwanv1alpha1.ConsumerRulesRefused
}

// RulesConditions are the conditions of a ServiceImport.mc-wan.l7mp.io whose routes are not written: there is no import
// here, or problem says why. They have no lastTransitionTime.
func RulesConditions(in LegInput, problem *mcs.Problem) []metav1.Condition {
	r := rulesOf(in)
	if problem == nil || r.own == nil || r.refusedByOwner() {
		return r.conditions(nil)
	}
	return []metav1.Condition{
		r.own.accepted(), r.own.resolved(),
		r.own.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, problem.Reason, problem.Message),
	}
}

// rulesInForce says for the import whose rules its requests follow; nil where nobody has any.
func (r importRules) rulesInForce() *mcs.Rules {
	kind := mcwanv1alpha1.ServiceImportKind
	switch {
	case r.inForce == nil || len(r.inForce.in.rules) == 0:
		return nil
	case r.inForce != r.own:
		kind = mcwanv1alpha1.ServiceExportKind
	}
	out := &mcs.Rules{
		Reason:  v1alpha1.ReasonConsumersRules,
		Message: fmt.Sprintf("Requests follow %s.%s %s/%s", kind, mcwanv1alpha1.GroupName, r.in.Namespace, r.in.Name),
	}
	switch owner := r.in.Merged.Rules; {
	case kind == mcwanv1alpha1.ServiceExportKind:
		out.Reason = v1alpha1.ReasonOwnersRules
		out.Message += " of the service's owner; what no rule matches is denied."
	case owner != nil:
		out.Message += " of this cluster, in place of the owner's; what the owner's deny, the exporting clusters deny."
	default:
		out.Message += " of this cluster; what no rule matches is denied."
	}
	if failing := slices.Concat(r.inForce.refused, r.inForce.unresolved); len(failing) > 0 {
		out.Fails, out.Reason = true, failing[0].reason
		out.Message += " These fail: " + told(failing)
	}
	return out
}

// conditions are those of the consumer's rules, given the legs of the import; nil without rules.
func (r importRules) conditions(legs []leg) []metav1.Condition {
	switch {
	case r.own == nil:
		return nil
	case r.refusedByOwner():
		const why = "The owner of the service lets no consumer have rules of its own (spec.consumerRules of the ServiceExport.mc-wan.l7mp.io)"
		return []metav1.Condition{
			r.own.condition(mcwanv1alpha1.ConditionAccepted, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotAllowedByOwner, why+"; the owner's are in force."),
			r.own.resolved(),
			r.own.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotAllowedByOwner, why+"."),
		}
	}
	inPlace := ""
	if r.in.Merged.Rules != nil {
		inPlace = ", in place of the owner's; what the owner's deny, the exporting clusters deny all the same"
	}
	return []metav1.Condition{r.own.accepted(), r.own.resolved(), r.own.programmed(legs, inPlace)}
}

func (c *compiled) condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: c.in.generation}
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
	case len(c.in.ports) == 0:
		return c.condition(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionUnknown, mcwanv1alpha1.ReasonPending,
			"There are no dummy Services as long as no cluster exports the service.")
	case len(c.unresolved) > 0:
		return c.condition(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, c.unresolved[0].reason,
			told(c.unresolved)+" A share of requests that leads to nothing is answered with an error; copies to nothing are not sent.")
	}
	return c.condition(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, mcwanv1alpha1.ReasonResolvedRefs, "All references name a WAN policy that is on offer.")
}

func (c *compiled) programmed(legs []leg, inPlace string) metav1.Condition {
	switch {
	case len(c.in.ports) == 0:
		return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotImported,
			"No cluster exports a service "+c.in.namespace+"/"+c.in.name+" to this one; the rules wait for it.")
	case !slices.ContainsFunc(legs, func(l leg) bool { return len(l.rules) > 0 }):
		return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNoLeg,
			"The import has no HTTP port at the egress gateway that a rule is for.")
	}
	return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionTrue, mcwanv1alpha1.ReasonProgrammed,
		"The egress gateway's routes are written by these rules"+inPlace+".")
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
