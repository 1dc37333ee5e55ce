// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
)

// ResolvePolicy is the policy an export's traffic uses here: the one it names, else this cluster's default; empty when
// there is neither. A named policy need not be known here: the exporter's card says on which port it receives it.
func ResolvePolicy(named string, policies []v1alpha1.WANPolicy) string {
	if named != "" {
		return named
	}
	p, _ := advertise.DefaultPolicy(policies)
	return p.Name
}

// policyByName finds a policy; nil if it is not known here.
func policyByName(name string, policies []v1alpha1.WANPolicy) *v1alpha1.WANPolicy {
	for i := range policies {
		if policies[i].Name == name {
			return &policies[i]
		}
	}
	return nil
}

// failoverOf is the failover of a policy as this cluster has it; one that nobody knows here is Automatic.
func failoverOf(policy string, policies []v1alpha1.WANPolicy) v1alpha1.Failover {
	p := policyByName(policy, policies)
	if p == nil || p.Spec.Failover == nil {
		return v1alpha1.Failover{Mode: v1alpha1.FailoverAutomatic}
	}
	out := *p.Spec.Failover
	out.Mode = cmp.Or(out.Mode, v1alpha1.FailoverAutomatic)
	return out
}

// tunnels is the order in which the traffic of a path uses policies: the path's own, then as its failover says.
func tunnels(key PathKey, policies []v1alpha1.WANPolicy) []string {
	failover := failoverOf(key.Policy, policies)
	// A key whose failover cannot be read does not come from an advertisement that was accepted.
	if override, err := advertise.ParseFailover(key.Failover); err == nil && override != nil {
		failover = *override
	}
	order := []string{key.Policy}
	switch failover.Mode {
	case v1alpha1.FailoverStrict:
	case v1alpha1.FailoverOrdered:
		order = append(order, failover.To...)
	default:
		for _, p := range elsewhereFirst(key.Policy, bestFirst(policies)) {
			order = append(order, p.Name)
		}
	}
	return unique(order)
}

// Warm tells whether connections are kept open over the tunnel that comes next on a path: a shared one to another cluster,
// whose policy asks for it here, and that may leave its tunnel.
func Warm(self string, key PathKey, policies []v1alpha1.WANPolicy) bool {
	policy := policyByName(key.Policy, policies)
	return policy != nil && policy.Spec.Standby == v1alpha1.StandbyWarm &&
		key.TCP.IsZero() && key.Exporter != self && len(tunnels(key, policies)) > 1
}

// elsewhereFirst puts policies over the tunnel of the named one behind the others: when that tunnel is dead, so are they.
func elsewhereFirst(policy string, policies []v1alpha1.WANPolicy) []v1alpha1.WANPolicy {
	own := policyByName(policy, policies)
	if own == nil {
		return policies
	}
	same := func(p v1alpha1.WANPolicy) bool { return p.Spec.Tunnel == own.Spec.Tunnel }
	other := func(p v1alpha1.WANPolicy) bool { return !same(p) }
	return append(filter(policies, other), filter(policies, same)...)
}

// bestFirst orders policies by service level: latency, then jitter, then loss, what is not said being worst; those
// without a service level last; equal ones by name.
func bestFirst(policies []v1alpha1.WANPolicy) []v1alpha1.WANPolicy {
	out := slices.Clone(policies)
	slices.SortFunc(out, func(a, b v1alpha1.WANPolicy) int {
		x, y := levelOf(a.Spec.SLA), levelOf(b.Spec.SLA)
		return cmp.Or(
			cmp.Compare(x.latency, y.latency),
			cmp.Compare(x.jitter, y.jitter),
			cmp.Compare(x.loss, y.loss),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return out
}

// level is a service level with the worst in place of what is not said.
type level struct{ latency, jitter, loss float64 }

func levelOf(sla *v1alpha1.SLA) level {
	worst := math.Inf(1)
	if sla == nil {
		return level{worst, worst, worst}
	}
	return level{orWorst(sla.LatencyMs), orWorst(sla.JitterMs), orWorst(sla.LossPercent)}
}

func orWorst[T int32 | float64](v *T) float64 {
	if v == nil {
		return math.Inf(1)
	}
	return float64(*v)
}

// roundTrip is the longest round trip that the policy's service level allows, latency and jitter; 0 where it says none.
func roundTrip(p *v1alpha1.WANPolicy) time.Duration {
	if p == nil || p.Spec.SLA == nil {
		return 0
	}
	ms := int64(0)
	for _, v := range []*int32{p.Spec.SLA.LatencyMs, p.Spec.SLA.JitterMs} {
		if v != nil {
			ms += int64(*v)
		}
	}
	return time.Duration(ms) * time.Millisecond
}

// unique keeps the first of equal strings and drops empty ones.
func unique(in []string) []string {
	var out []string
	for _, s := range in {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
