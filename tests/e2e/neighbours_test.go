// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover"
)

// neighbours is how many good services there are beside a bad one.
const neighbours = 100

// TestFailoverOneBadService: one bad service is not everyone's outage. The others' requests do not fail and stay on
// their tunnel, and no hop is left out, neither by Envoy nor by the prober.
func TestFailoverOneBadService(t *testing.T) {
	bench := failoverBench(t)
	if err := bench.Neighbours(t.Context(), neighbours); err != nil {
		t.Fatal(err)
	}
	for _, bad := range failover.Badnesses() {
		t.Run(bad.Name, func(t *testing.T) {
			before, err := bench.Ejections(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			requests, err := bench.Beside(t.Context(), bad, neighbours, 100, 12*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			failed, elsewhere, slowest := map[string]int{}, map[string]int{}, time.Duration(0)
			for _, r := range requests {
				switch {
				case r.Err != "":
					failed[r.Err]++
				case r.Tunnel != "business" && !bad.Breaches:
					elsewhere[r.Tunnel]++
				}
				slowest = max(slowest, r.Took)
			}
			t.Logf("%d requests of %d services, slowest %s", len(requests), neighbours, slowest)
			if len(failed)+len(elsewhere) > 0 || len(requests) < 1000 {
				t.Errorf("%d requests; failed %v, on other tunnels %v", len(requests), failed, elsewhere)
			}
			after, err := bench.Ejections(t.Context())
			if err != nil || after != before {
				t.Errorf("Envoy left out %d hops: %v", after-before, err)
			}
			if bad.Breaches {
				return
			}
			if err := bench.Healthy(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
