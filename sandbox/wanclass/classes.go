// SPDX-License-Identifier: Apache-2.0

package wanclass

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan"
)

// Policy is what matters here of a WANPolicy.
type Policy struct {
	Cluster string    `json:"cluster"`
	Name    string    `json:"name"`
	Tunnel  string    `json:"tunnel"`
	Port    uint16    `json:"port"`
	Created time.Time `json:"created"`
}

// Plan is the SD-WAN's classes and what could not be followed of the policies, in words for a person, sorted.
type Plan struct {
	Classes  wan.Classes `json:"classes"`
	Problems []string    `json:"problems,omitempty"`
}

// Classes makes the union of all policies. Where policies disagree about a port, the oldest has it (then the first by
// cluster and name), so that adding a policy never moves the traffic of another. A tunnel that the SD-WAN does not
// have cannot be a class: such a port's packets take the default tunnel.
func Classes(policies []Policy, tunnels []string) Plan {
	ordered := slices.SortedFunc(slices.Values(policies), func(a, b Policy) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name))
	})
	plan := Plan{Classes: wan.Classes{}}
	owner := map[uint16]Policy{}
	for _, p := range ordered {
		if !slices.Contains(tunnels, p.Tunnel) {
			plan.Problems = append(plan.Problems, fmt.Sprintf("%s: no tunnel %q; packets to port %d take the default tunnel", p, p.Tunnel, p.Port))
			continue
		}
		first, taken := owner[p.Port]
		if taken && first.Tunnel != p.Tunnel {
			plan.Problems = append(plan.Problems, fmt.Sprintf("%s: port %d is sorted into %q by the older %s, not into %q", p, p.Port, first.Tunnel, first, p.Tunnel))
			continue
		}
		if !taken {
			owner[p.Port] = p
			plan.Classes[p.Port] = p.Tunnel
		}
	}
	slices.Sort(plan.Problems)
	return plan
}

// String names the policy for a person.
func (p Policy) String() string { return fmt.Sprintf("WANPolicy %s of %s", p.Name, p.Cluster) }
