// SPDX-License-Identifier: Apache-2.0

package wanclass

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/sandbox/wan"
)

func TestClassesAreTheUnionAndTheOldestPolicyWins(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	policies := []Policy{
		{"cluster-1", "high", "business", 31111, at(1)},
		{"cluster-2", "high", "business", 31111, at(2)}, // agrees
		{"cluster-2", "low", "lte", 31112, at(3)},
		{"cluster-1", "low", "internet", 31112, at(4)},  // disagrees, younger
		{"cluster-1", "same", "lte", 31113, at(5)},      // as old as the next one:
		{"cluster-2", "same", "default", 31113, at(5)},  // the first cluster wins
		{"cluster-1", "odd", "satellite", 31114, at(0)}, // no such tunnel
	}
	want := Plan{
		Classes: wan.Classes{31111: "business", 31112: "lte", 31113: "lte"},
		Problems: []string{
			`WANPolicy low of cluster-1: port 31112 is sorted into "lte" by the older WANPolicy low of cluster-2, not into "internet"`,
			`WANPolicy odd of cluster-1: no tunnel "satellite"; packets to port 31114 take the default tunnel`,
			`WANPolicy same of cluster-2: port 31113 is sorted into "lte" by the older WANPolicy same of cluster-1, not into "default"`,
		},
	}
	for range 20 { // the order in which policies are seen does not matter
		rand.Shuffle(len(policies), func(i, j int) { policies[i], policies[j] = policies[j], policies[i] })
		got := Classes(policies, []string{"business", "default", "lte", "internet"})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}
