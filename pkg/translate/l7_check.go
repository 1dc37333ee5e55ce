// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// RuleProblems says of a rule of a service with these ports what cannot be carried out, each with its field below the rule.
// The owner's rules are those of a ServiceExport.
func RuleProblems(in mcwanv1alpha1.HTTPRule, namespace, name string, ports []mcsv1beta1.ServicePort, byOwner bool) []string {
	var out []string
	for _, f := range checkRule(ruleSet{namespace: namespace, name: name, ports: ports, byOwner: byOwner}, in) {
		out = append(out, f.message)
	}
	return out
}

// checkRule says what of a rule cannot be carried out; messages begin with the field below the rule. What the rule becomes
// where it is read, and whether its references name something, is of no account: a rule that is refused at one gateway is
// refused at all of them.
func checkRule(set ruleSet, in mcwanv1alpha1.HTTPRule) []finding {
	out := checkPorts(set.ports, in.Ports)
	refuse := func(wrong ...string) {
		for _, w := range wrong {
			out = append(out, finding{mcwanv1alpha1.ReasonUnsupportedValue, w})
		}
	}
	changes, wrong := changesOf(in.Filters, LocalHost(set.name, set.namespace))
	refuse(wrong...)
	_, wrong = limitsOf(in.Timeouts, in.Retry)
	refuse(wrong...)
	if in.Retry != nil && in.Retry.Backoff != nil && !set.byOwner {
		refuse("retry.backoff: only the owner's gateway can keep it (ServiceExport." + mcwanv1alpha1.GroupName + "); leave the field out")
	}
	for i, m := range matchesOf(in) {
		match, wrong := matcherOf(m)
		for _, w := range wrong {
			refuse(fmt.Sprintf("matches[%d].%s", i, w))
		}
		if rewrite := rewritePath(changes.rewrite, match); rewrite != nil && len(rewrite.Match) > maxRegexp {
			refuse(fmt.Sprintf("matches[%d].path.value: it is too long for its prefix to be replaced; use ReplaceFullPath, or a shorter prefix", i))
		}
	}
	return out
}

// checkPorts: a rule is for HTTP ports that the service has. Nothing is wrong with any port while nobody exports it.
func checkPorts(known []mcsv1beta1.ServicePort, wanted []int32) []finding {
	var out []finding
	for i, number := range wanted {
		at := slices.IndexFunc(known, func(p mcsv1beta1.ServicePort) bool { return p.Port == number && mcs.Carried(p.Protocol) })
		switch {
		case len(known) == 0:
		case at < 0:
			out = append(out, finding{mcwanv1alpha1.ReasonNoSuchPort, fmt.Sprintf(
				"ports[%d]: the service has no port %d; its HTTP ports are %s", i, number, httpPorts(known))})
		case !isHTTP(known[at]):
			out = append(out, finding{mcwanv1alpha1.ReasonNotHTTP, fmt.Sprintf(
				"ports[%d]: port %d does not speak HTTP, going by its appProtocol and its name; the service's HTTP ports are %s", i, number, httpPorts(known))})
		}
	}
	return out
}

// httpPorts are the numbers of the ports that a rule can be for.
func httpPorts(known []mcsv1beta1.ServicePort) string {
	var out []string
	for _, p := range known {
		if isHTTP(p) {
			out = append(out, itoa(p.Port))
		}
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}
