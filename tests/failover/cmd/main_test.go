// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"github.com/l7mp/mc-wan/tests/failover"
)

func TestCasesOfOneRun(t *testing.T) {
	o := options{runs: "bars,long,sidecar", cases: "bars/refused,sidecar/blackhole"}
	runs, err := o.selected()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, r := range runs {
		got[r.Name] = r.Cases
	}
	all := failover.Runs()
	long := all[slices.IndexFunc(all, func(r failover.Run) bool { return r.Name == "long" })]
	if !slices.Equal(got["bars"], []string{"refused"}) || !slices.Equal(got["sidecar"], []string{"blackhole"}) || !slices.Equal(got["long"], long.Cases) {
		t.Errorf("cases %v", got)
	}
	if runs, err := (options{cases: "bars/refused"}).selected(); err != nil || len(runs) != 1 || runs[0].Name != "bars" {
		t.Errorf("-cases bars/refused plays %v, %v", runs, err)
	}
	for _, cases := range []string{"nothing", "bars/nothing", "nowhere/refused", "long/refused"} {
		if _, err := (options{cases: cases}).selected(); err == nil {
			t.Errorf("-cases %s was taken", cases)
		}
	}
}
