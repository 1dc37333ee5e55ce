// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// ownerRules are the owner's rules as the ingress gateway keeps them; none where there are none.
func ownerRules(in ExportInput) *compiled {
	if in.Rules == nil {
		return compile(ruleSet{})
	}
	set := ruleSet{
		namespace: in.Rules.Namespace, name: in.Rules.Name, rules: in.Rules.Spec.HTTP.Rules, generation: in.Rules.Generation,
		ports: export{in: in}.ports(), policies: in.Policies, byOwner: true,
	}
	for _, p := range UsablePolicies(in.Policies) {
		set.offered = append(set.offered, p.Name)
	}
	return compile(set)
}

// ruleRoutes are the routes of one rule. Which tunnel a request has come by is of no account here: failover may have
// changed it. What filters do to requests is done here and not by the consumers, so that the rules are matched with
// what clients have sent. A redirect is the consumers' egress gateways' to answer: nobody sends such a request on.
func ruleRoutes(wire WireKey, to *networkingv1alpha3.Destination, r rule, idempotent []string) []*networkingv1alpha3.HTTPRoute {
	matches := r.match.requests()
	if status := r.refusal(); status != 0 {
		return []*networkingv1alpha3.HTTPRoute{{
			Name: r.name, Match: matches, DirectResponse: &networkingv1alpha3.HTTPDirectResponse{Status: status},
		}}
	}
	if r.limits.retries == 0 {
		return []*networkingv1alpha3.HTTPRoute{ruleRoute(wire, to, r, matches, false)}
	}
	var out []*networkingv1alpha3.HTTPRoute
	if m := idempotentOnly(matches, idempotent); len(m) > 0 {
		out = append(out, ruleRoute(wire, to, r, m, true))
	}
	if m, some := othersToo(matches, idempotent); some {
		out = append(out, ruleRoute(wire, to, r, m, false))
	}
	return out
}

func (r rule) refusal() uint32 {
	switch {
	case r.broken:
		return unresolved
	case r.changes.redirect != nil:
		return forbidden
	}
	return 0
}

func ruleRoute(wire WireKey, to *networkingv1alpha3.Destination, r rule, matches []*networkingv1alpha3.HTTPMatchRequest, idempotent bool) *networkingv1alpha3.HTTPRoute {
	out := toBackend(wire, to)
	out.Name, out.Match = r.name, matches
	out.Rewrite.UriRegexRewrite = rewritePath(r.changes.rewrite, r.match)
	out.Headers.Request = change(out.Headers.Request, r.changes.request)
	out.Headers.Response = change(out.Headers.Response, r.changes.response)
	r.limits.bound(out, idempotent)
	return out
}

// OwnerConditions are the conditions of a ServiceExport.mc-wan.l7mp.io; nil where there is none. in.Advertisement has no
// name when the service is not exported; merged is the service as all exporters describe it. They have no
// lastTransitionTime.
func OwnerConditions(in ExportInput, merged mcs.Merged) []metav1.Condition {
	if in.Rules == nil {
		return nil
	}
	c := ownerRules(in)
	accepted := c.accepted()
	if err := mcs.CheckOwnerRules(&in.Rules.Spec); err != nil {
		reason := mcwanv1alpha1.ReasonTooLarge
		if mcs.RulesFit(&in.Rules.Spec) {
			reason = mcwanv1alpha1.ReasonUnsupportedValue
		}
		accepted = c.condition(mcwanv1alpha1.ConditionAccepted, metav1.ConditionFalse, reason, fmt.Sprintf(
			"These rules cannot be advertised: the ingress gateway keeps them, consumers use the export's WAN policy: %s.", err))
	}
	return []metav1.Condition{accepted, c.resolved(), c.programmedAtIngress(in), c.conflict(merged)}
}

func (c *compiled) programmedAtIngress(in ExportInput) metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, reason, message)
	}
	kept := func(p mcsv1beta1.ServicePort) bool { return mcs.Carried(p.Protocol) && len(c.forPort(p)) > 0 }
	switch {
	case in.Advertisement.Name == "":
		return no(mcwanv1alpha1.ReasonNotExported, fmt.Sprintf(
			"Nothing is exported: there is no ServiceExport.%s %s/%s, or it is not in force; the rules wait for it.", mcsv1beta1.GroupName, c.in.namespace, c.in.name))
	case !slices.ContainsFunc(c.in.ports, kept):
		return no(mcwanv1alpha1.ReasonNoLeg, "The service has no HTTP port at the ingress gateway that a rule is for.")
	case len(UsablePolicies(in.Policies)) == 0:
		return no(v1alpha1.ReasonPolicyNotReady, "This cluster has no usable WANPolicy, so its ingress gateway takes no requests.")
	}
	message := "The ingress gateway's routes are written by these rules, and other clusters are told them."
	if in.Replaced && in.Rules.Spec.ConsumerRules != mcwanv1alpha1.ConsumerRulesRefused {
		message += fmt.Sprintf(" Clients of this cluster follow its ServiceImport.%s in their place.", mcwanv1alpha1.GroupName)
	}
	return c.condition(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionTrue, mcwanv1alpha1.ReasonProgrammed, message)
}

func (c *compiled) conflict(merged mcs.Merged) metav1.Condition {
	if merged.RulesConflict != nil {
		return c.condition(mcwanv1alpha1.ConditionConflict, metav1.ConditionTrue, mcwanv1alpha1.ReasonRulesConflict, merged.RulesConflict.Message+
			" Each cluster's ingress gateway keeps its own.")
	}
	return c.condition(mcwanv1alpha1.ConditionConflict, metav1.ConditionFalse, mcwanv1alpha1.ReasonNoConflict, "All exporters that have rules have the same.")
}
