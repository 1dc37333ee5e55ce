// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
)

// policyCheck looks at one policy among all, those older than it first in older.
type policyCheck func(p v1alpha1.WANPolicy, older, all []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec) verdict

// policyChecks are in the order in which they are told: the first that has something to say is the condition.
func policyChecks() []policyCheck {
	return []policyCheck{policyName, policyPort, policyPortTaken, policyDefault, policyFailover, policyAtPeers}
}

// ValidatePolicies is the verdict on each WANPolicy by name: its Ready condition, without time. Cards may be missing.
func ValidatePolicies(policies []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec) map[string]metav1.Condition {
	out := map[string]metav1.Condition{}
	for name, v := range judgePolicies(policies, cards) {
		p := policyByName(name, policies)
		fine := fmt.Sprintf("received on port %d", p.Spec.Port)
		out[name] = v.condition(v1alpha1.ConditionReady, p.Generation, v1alpha1.ReasonReady, fine)
	}
	return out
}

// UsablePolicies are the policies on whose ports this cluster receives, by name.
func UsablePolicies(policies []v1alpha1.WANPolicy) []v1alpha1.WANPolicy {
	verdicts := judgePolicies(policies, nil)
	out := filter(policies, func(p v1alpha1.WANPolicy) bool { return !verdicts[p.Name].refuses })
	slices.SortFunc(out, func(a, b v1alpha1.WANPolicy) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func judgePolicies(policies []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec) map[string]verdict {
	out := map[string]verdict{}
	var older []v1alpha1.WANPolicy
	for _, p := range oldestFirst(policies, policyMeta) {
		v := verdict{}
		for _, check := range policyChecks() {
			if v = check(p, older, policies, cards); !v.silent() {
				break
			}
		}
		out[p.Name] = v
		if !v.refuses {
			older = append(older, p)
		}
	}
	return out
}

// policyName guards what the CRD's schema checks as well: a name becomes part of Gateway names.
func policyName(p v1alpha1.WANPolicy, _, _ []v1alpha1.WANPolicy, _ []v1alpha1.ClusterAdvertisementSpec) verdict {
	if len(validation.IsDNS1123Label(p.Name)) > 0 {
		return verdict{v1alpha1.ReasonInvalid, "the name must be a DNS label of at most 63 characters; create it anew under another name", true}
	}
	return verdict{}
}

// policyPort keeps policies off ports that something of Istio's or ours listens on.
func policyPort(p v1alpha1.WANPolicy, _, _ []v1alpha1.WANPolicy, _ []v1alpha1.ClusterAdvertisementSpec) verdict {
	reserved := func(whose string) verdict {
		return verdict{v1alpha1.ReasonPortReserved, fmt.Sprintf("port %d belongs to %s; choose another, such as 31111", p.Spec.Port, whose), true}
	}
	switch port := p.Spec.Port; {
	case port < 1024 || port > 65535:
		return verdict{v1alpha1.ReasonInvalid, fmt.Sprintf("port %d must be within 1024 to 65535: gateways run without privileges", port), true}
	case port >= v1alpha1.MinIstioPort && port <= v1alpha1.MaxIstioPort:
		return reserved("Istio's proxies (15000 to 15100)")
	case port >= v1alpha1.MinLegPort && port <= v1alpha1.MaxLegPort:
		return reserved(fmt.Sprintf("the legs of the egress gateway (%d to %d)", v1alpha1.MinLegPort, v1alpha1.MaxLegPort))
	case port == v1alpha1.EgressFeedPort || port == v1alpha1.ControllerFeedPort:
		return reserved("the controllers' feeds")
	}
	return verdict{}
}

func policyPortTaken(p v1alpha1.WANPolicy, older, _ []v1alpha1.WANPolicy, _ []v1alpha1.ClusterAdvertisementSpec) verdict {
	for _, o := range older {
		if o.Spec.Port == p.Spec.Port {
			return verdict{v1alpha1.ReasonPortConflict, fmt.Sprintf(
				"port %d is already that of the older WANPolicy %s: the SD-WAN could not tell them apart; choose another port", p.Spec.Port, o.Name), true}
		}
	}
	return verdict{}
}

// policyDefault: of two defaults the oldest is it. The other can be used by name.
func policyDefault(p v1alpha1.WANPolicy, _, all []v1alpha1.WANPolicy, _ []v1alpha1.ClusterAdvertisementSpec) verdict {
	if d, ok := advertise.DefaultPolicy(all); p.Spec.Default && ok && d.Name != p.Name {
		return verdict{v1alpha1.ReasonDefaultConflict, fmt.Sprintf(
			"usable by name, but the default is the older WANPolicy %s; take spec.default from one of them", d.Name), false}
	}
	return verdict{}
}

// policyFailover: what is not known is passed over.
func policyFailover(p v1alpha1.WANPolicy, _, all []v1alpha1.WANPolicy, _ []v1alpha1.ClusterAdvertisementSpec) verdict {
	if p.Spec.Failover == nil {
		return verdict{}
	}
	for _, name := range p.Spec.Failover.To {
		if policyByName(name, all) == nil {
			return verdict{v1alpha1.ReasonUnknownFailover, fmt.Sprintf(
				"spec.failover.to names %s, which is no WANPolicy of this cluster; create it or take it from the list", name), false}
		}
	}
	return verdict{}
}

// policyAtPeers: a policy of one name that stands for different tunnels is told, and nothing is guessed from it.
func policyAtPeers(p v1alpha1.WANPolicy, _, _ []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec) verdict {
	for _, peer := range PolicyPeers(p.Name, cards) {
		if peer.Tunnel != "" && peer.Tunnel != p.Spec.Tunnel {
			return verdict{v1alpha1.ReasonDiffersAtPeer, fmt.Sprintf(
				"cluster %s says its tunnel is %s, here it is %s; give the policy the same meaning in both", peer.ClusterID, peer.Tunnel, p.Spec.Tunnel), false}
		}
	}
	return verdict{}
}

// PolicyPeers says on which port each cluster of the cards receives for a policy, by cluster id.
func PolicyPeers(policy string, cards []v1alpha1.ClusterAdvertisementSpec) []v1alpha1.WANPolicyPeer {
	var out []v1alpha1.WANPolicyPeer
	for _, c := range cards {
		if o := offers(cards, c.ClusterID, policy); o != nil {
			out = append(out, v1alpha1.WANPolicyPeer{ClusterID: c.ClusterID, Tunnel: o.Tunnel, Port: o.Port})
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.WANPolicyPeer) int { return cmp.Compare(a.ClusterID, b.ClusterID) })
	return out
}
