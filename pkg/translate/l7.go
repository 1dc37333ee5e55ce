// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// rule is a match of a rule of a ServiceImport.mc-wan.l7mp.io, with what becomes of the requests.
type rule struct {
	// name is "rules[i]".
	name    string
	ports   []int32
	match   matcher
	changes changes
	// policies share the requests; one without a name is a backendRef that names nothing.
	policies []policyWeight
	// mirrors are the policies of changes.mirrors, one each; empty where the reference names nothing.
	mirrors []string
	// limits are what the ingress gateway is told of timeouts and retries.
	limits limits
	// broken rules answer 500: they cannot be carried out as written.
	broken bool
}

// policyWeight is a policy and its share of a rule's requests.
type policyWeight struct {
	policy string
	weight int32
}

// ruleSet is what rules are read with.
type ruleSet struct {
	namespace, name string
	rules           []mcwanv1alpha1.HTTPRule
	// generation is that of the object that has the rules, for its conditions.
	generation int64
	// ports are those of the service; none while nobody exports it.
	ports []mcsv1beta1.ServicePort
	// offered are the policies that backendRefs may stand for, policies those that are known.
	offered  []string
	policies []v1alpha1.WANPolicy
	// byOwner says that the rules are the owner's.
	byOwner bool
	// choosing says that they only choose here: requests are changed, and tried again, elsewhere.
	choosing bool
}

// compiled are rules in their order of precedence, and what is wrong with them.
type compiled struct {
	in    ruleSet
	rules []rule
	// refused are fields that cannot be carried out, unresolved are references that name nothing.
	refused, unresolved []finding
}

// finding is a reason with the rule and the field.
type finding struct{ reason, message string }

// compile reads rules.
func compile(in ruleSet) *compiled {
	c := &compiled{in: in}
	if !mcs.RulesWithin(in.rules, mcwanv1alpha1.MaxRulesBytes) {
		c.refused = []finding{{mcwanv1alpha1.ReasonTooLarge, fmt.Sprintf(
			"rules: they have more than %d bytes as JSON; use fewer or shorter matches. None of them is looked at", mcwanv1alpha1.MaxRulesBytes)}}
		c.rules = []rule{{name: "rules", match: everything(), broken: true}}
		return c
	}
	for i, r := range in.rules {
		c.add(ruleName(i), r)
	}
	slices.SortStableFunc(c.rules, func(a, b rule) int { return compareMatchers(a.match, b.match) })
	return c
}

func ruleName(i int) string { return fmt.Sprintf("rules[%d]", i) }

// add reads one rule: each of its matches has its own place in the order of precedence.
func (c *compiled) add(name string, in mcwanv1alpha1.HTTPRule) {
	refused := checkRule(c.in, in)
	for _, f := range refused {
		c.refused = append(c.refused, finding{f.reason, name + "." + f.message})
	}
	r := rule{name: name, ports: in.Ports, broken: len(refused) > 0}
	r.changes, _ = changesOf(in.Filters, LocalHost(c.in.name, c.in.namespace))
	r.limits, _ = limitsOf(in.Timeouts, in.Retry)
	if c.in.choosing {
		r.changes.request, r.changes.response, r.changes.rewrite, r.limits = nil, nil, nil, limits{}
	}
	for i, ref := range in.BackendRefs {
		policy := c.resolve(fmt.Sprintf("%s.backendRefs[%d]", name, i), string(ref.Name), string(ref.Namespace))
		r.policies = append(r.policies, policyWeight{policy, ptr.Deref(ref.Weight, 1)})
	}
	for _, m := range r.changes.mirrors {
		r.mirrors = append(r.mirrors, c.resolveMirror(name+"."+m.field, m.ref))
	}
	for _, m := range matchesOf(in) {
		r.match, _ = matcherOf(m)
		c.rules = append(c.rules, r)
	}
}

// matchesOf are the matches of a rule; none is one that everything matches.
func matchesOf(in mcwanv1alpha1.HTTPRule) []gatewayv1.HTTPRouteMatch {
	if len(in.Matches) == 0 {
		return []gatewayv1.HTTPRouteMatch{{}}
	}
	return in.Matches
}

// resolve is the policy that a dummy Service of this import stands for; empty when the reference names nothing.
func (c *compiled) resolve(field, name, namespace string) string {
	if namespace != "" && namespace != v1alpha1.Namespace {
		return c.notFound(field+".namespace", fmt.Sprintf("dummy Services are in namespace %s, not in %s", v1alpha1.Namespace, namespace))
	}
	policy, ok := strings.CutPrefix(name, DummyServiceName(c.in.namespace, c.in.name, ""))
	switch {
	case ok && slices.Contains(c.in.offered, policy):
		return policy
	case ok && policyByName(policy, c.in.policies) != nil && len(c.in.ports) > 0:
		c.unresolved = append(c.unresolved, finding{mcwanv1alpha1.ReasonPolicyNotOffered, fmt.Sprintf(
			"%s.name: no cluster that exports the service offers WANPolicy %s; it needs a WANPolicy of that name, or use one of: %s",
			field, policy, c.dummies())})
		return ""
	}
	return c.notFound(field+".name", fmt.Sprintf("there is no dummy Service %s of this service; there are: %s", name, c.dummies()))
}

// dummies are the names that references may have.
func (c *compiled) dummies() string {
	var out []string
	for _, p := range c.in.offered {
		out = append(out, DummyServiceName(c.in.namespace, c.in.name, p))
	}
	return cmp.Or(strings.Join(out, ", "), "none, because no exporting cluster has told on which WAN policies it receives")
}

func (c *compiled) notFound(field, message string) string {
	c.unresolved = append(c.unresolved, finding{mcwanv1alpha1.ReasonBackendNotFound, field + ": " + message})
	return ""
}

func (c *compiled) resolveMirror(field string, ref gatewayv1.BackendObjectReference) string {
	if kind := ptr.Deref(ref.Kind, "Service"); kind != "Service" || ptr.Deref(ref.Group, "") != "" {
		return c.notFound(field+".kind", fmt.Sprintf("%s is no Service", kind))
	}
	// Unlike in a rule's backendRefs the Gateway API's default is the namespace of the object itself.
	return c.resolve(field, string(ref.Name), string(ptr.Deref(ref.Namespace, gatewayv1.Namespace(c.in.namespace))))
}

// forPort are the rules for one port, in their order; none for a port that is not HTTP.
func (c *compiled) forPort(port mcsv1beta1.ServicePort) []rule {
	if !isHTTP(port) {
		return nil
	}
	return filter(c.rules, func(r rule) bool { return len(r.ports) == 0 || slices.Contains(r.ports, port.Port) })
}

// routes are what a rule makes of a leg's requests.
func (r rule) routes(l leg) []route {
	matches := r.match.requests()
	out := route{name: r.name, matches: matches, policies: r.policies, request: r.changes.request, response: r.changes.response, limits: r.limits}
	switch {
	case r.broken:
		return []route{{name: r.name, matches: matches, status: unresolved}}
	case r.changes.redirect != nil:
		return r.redirects(l, matches)
	case !slices.ContainsFunc(r.policies, func(p policyWeight) bool { return p.policy != "" && p.weight > 0 }):
		return []route{{name: r.name, matches: matches, status: unresolved}}
	case len(l.shares) == 0:
		return []route{{name: r.name, matches: matches, status: unavailable}}
	}
	out.rewrite = rewritePath(r.changes.rewrite, r.match)
	for i, m := range r.changes.mirrors {
		if r.mirrors[i] != "" && m.percent > 0 {
			out.mirrors = append(out.mirrors, policyMirror{r.mirrors[i], m.percent})
		}
	}
	return []route{out}
}

// redirects: each form of a match is redirected on its own, because a VirtualService replaces either a prefix or a path.
func (r rule) redirects(l leg, matches []*networkingv1alpha3.HTTPMatchRequest) []route {
	var out []route
	for _, m := range matches {
		out = append(out, route{
			name: r.name, matches: []*networkingv1alpha3.HTTPMatchRequest{m}, response: r.changes.response,
			redirect: redirectTo(r.changes.redirect, ClusterSetHost(l.name, l.namespace), l.port.Port, m),
		})
	}
	return out
}
