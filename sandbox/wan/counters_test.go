// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func flow(tunnel, source string, packets uint64) Flow {
	return Flow{Tunnel: tunnel, From: "a", To: "b", Source: source, Destination: "10.12.0.7", Tally: Tally{Packets: packets, Bytes: 100 * packets}}
}

func TestSince(t *testing.T) {
	before := Counters{Flows: []Flow{flow("business", "10.11.0.5", 10), flow("business", "10.11.0.6", 5), flow("lte", "10.11.0.5", 7)}}
	after := Counters{Flows: []Flow{flow("business", "10.11.0.5", 12), flow("business", "10.11.0.6", 5), flow("lte", "10.11.0.5", 3), flow("lte", "10.11.0.9", 1)}}
	want := Counters{Flows: []Flow{flow("business", "10.11.0.5", 2), flow("lte", "10.11.0.5", 3), flow("lte", "10.11.0.9", 1)}}
	if d := cmp.Diff(want, after.Since(before)); d != "" {
		t.Errorf("the unchanged flow is to be left out, the one that was reset to count from zero (-want +got):\n%s", d)
	}
}

func TestBy(t *testing.T) {
	c := Counters{Flows: []Flow{flow("lte", "10.11.0.5", 1), flow("business", "10.11.0.5", 10), flow("business", "10.11.0.6", 5)}}
	got := c.By(func(f Flow) Flow { return Flow{Tunnel: f.Tunnel} })
	want := Counters{Flows: []Flow{
		{Tunnel: "business", Tally: Tally{Packets: 15, Bytes: 1500}},
		{Tunnel: "lte", Tally: Tally{Packets: 1, Bytes: 100}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("by tunnel (-want +got):\n%s", d)
	}
}
