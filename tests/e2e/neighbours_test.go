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

// maxRepeated is the share of requests that may be answered over another tunnel: a connection that ends, because a full queue
// dropped the same packet of it several times, has its requests repeated there.
const maxRepeated = 0.01

// TestFailoverOneBadService: one bad service is not everyone's outage. The others' requests do not fail and stay on
// their tunnel, and no hop is left out, neither by Envoy nor by the prober.
func TestFailoverOneBadService(t *testing.T) {
	bench := failoverBench(t)
	if err := bench.SendAsByDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := bench.Neighbours(t.Context(), neighbours); err != nil {
		t.Fatal(err)
	}
	for _, bad := range failover.Badnesses() {
		t.Run(bad.Name, func(t *testing.T) {
			o, err := bench.Beside(t.Context(), bad, neighbours, 100, 12*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			failed, elsewhere, slowest := map[string]int{}, 0, time.Duration(0)
			for _, r := range o.Requests {
				switch {
				case r.Err != "":
					failed[r.Err]++
				case r.Tunnel != "business":
					elsewhere++
				}
				slowest = max(slowest, r.Took)
			}
			t.Logf("%d requests of %d services, %d on another tunnel, slowest %s", len(o.Requests), neighbours, elsewhere, slowest)
			if len(failed) > 0 || len(o.Requests) < 1000 {
				t.Errorf("%d requests; failed %v", len(o.Requests), failed)
			}
			if len(o.LeftOut) > 0 {
				t.Errorf("Envoy left out %v", o.LeftOut)
			}
			if bad.Breaches {
				return
			}
			if most := maxRepeated * float64(len(o.Requests)); float64(elsewhere) > most {
				t.Errorf("%d requests were on another tunnel, want %.0f at most", elsewhere, most)
			}
			if err := bench.Healthy(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
