// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

func exporters(ready ...int32) []Exporter {
	var out []Exporter
	for i, r := range ready {
		out = append(out, Exporter{ClusterID: fmt.Sprintf("c%d", i+1), Ready: r})
	}
	return out
}

func TestNextShares(t *testing.T) {
	draining := exporters(3, 3)
	draining[0].Draining = true
	lonely := exporters(3, 0)
	lonely[0].Draining = true
	drained := exporters(1, 3, 1)
	drained[1].Drained = true
	allDrained := exporters(3, 1)
	allDrained[0].Drained, allDrained[1].Drained = true, true
	drainedAndDraining := exporters(1, 3)
	drainedAndDraining[0].Drained, drainedAndDraining[1].Draining = true, true
	for _, tc := range []struct {
		name      string
		previous  string
		exporters []Exporter
		want      string
	}{
		{"nobody", "", nil, ""},
		{"one", "", exporters(7), "c1=100"},
		{"three to one", "", exporters(3, 1), "c1=75,c2=25"},
		{"thirds", "", exporters(1, 1, 1), "c1=34,c2=33,c3=33"},
		{"zero is exact", "c1=50,c2=50", exporters(3, 0), "c1=100"},
		{"non-zero is exact", "c1=100", exporters(1000, 1), "c1=99,c2=1"},
		{"nobody ready: all alike", "c1=100", exporters(0, 0), "c1=50,c2=50"},
		{"draining is left out", "c1=50,c2=50", draining, "c2=100"},
		{"draining with the only backends stays", "c1=50,c2=50", lonely, "c1=100"},
		{"drained is left out, the others share as before", "c1=20,c2=60,c3=20", drained, "c1=50,c3=50"},
		{"all are drained: as if none was", "", allDrained, "c1=75,c2=25"},
		{"one is drained, and the other is about to go", "", drainedAndDraining, "c1=100"},
		{"small change stays", "c1=50,c2=50", exporters(11, 10), "c1=50,c2=50"},
		{"large change moves", "c1=50,c2=50", exporters(14, 10), "c1=58,c2=42"},
		{"small share moves by its own size", "c1=92,c2=8", exporters(90, 10), "c1=90,c2=10"},
		{"foreign previous is ignored", "x=100", exporters(1), "c1=100"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := NextShares(ParseShares(tc.previous), tc.exporters).String(); got != tc.want {
				t.Errorf("NextShares() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSharesOfMoreClustersThanPercent(t *testing.T) {
	ready := make([]int32, 130)
	for i := range ready {
		ready[i] = int32(i)
	}
	s := NextShares(nil, exporters(ready...))
	if len(s) != whole || s["c1"] != 0 || s["c130"] != 1 {
		t.Errorf("the 100 clusters with most backends should have one percent each, got %v", s)
	}
}

func TestSharesProperties(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 5000 {
		in := make([]Exporter, 1+rng.Intn(120))
		for i := range in {
			in[i] = Exporter{ClusterID: fmt.Sprintf("c%d", i), Ready: int32(max(0, rng.Intn(1000)-200)), Draining: rng.Intn(5) == 0}
		}
		before := slices.Clone(in)
		s := NextShares(nil, in)
		shuffled := slices.Clone(in)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		sum := int32(0)
		for c, n := range s {
			sum += n
			if n < 1 {
				t.Fatalf("share of %s is %d", c, n)
			}
		}
		switch {
		case sum != whole:
			t.Fatalf("shares sum to %d: %v", sum, s)
		case !slices.Equal(before, in):
			t.Fatal("input changed")
		case !maps.Equal(s, NextShares(nil, shuffled)):
			t.Fatal("order matters")
		case !maps.Equal(s, NextShares(s, in)):
			t.Fatal("a second look changes the shares")
		case !maps.Equal(s, ParseShares(s.String())):
			t.Fatalf("%q is not read back", s)
		}
	}
}

func TestParseSharesRefusesWhatItDidNotWrite(t *testing.T) {
	for _, text := range []string{"x", "a=1", "a=100,a=0", "a=50,a=50", "=100", "a=101", "a=-1,b=101", "a=1e2", "a=100,"} {
		if got := ParseShares(text); got != nil {
			t.Errorf("ParseShares(%q) = %v, want nil", text, got)
		}
	}
}

// TestRingOfDrainedExporters: a drained cluster backs nobody up, unless there is but one other.
func TestRingOfDrainedExporters(t *testing.T) {
	for _, tc := range []struct {
		name    string
		drained []int
		all     []Exporter
		want    string
	}{
		{"none", nil, exporters(1, 1, 1), "c1,c2,c3"},
		{"one of three", []int{1}, exporters(1, 1, 1), "c1,c3"},
		{"two of three", []int{1, 2}, exporters(1, 1, 1), "c1,c2,c3"},
		{"two of four", []int{1, 2}, exporters(1, 1, 1, 1), "c1,c4"},
		{"one of two", []int{0}, exporters(1, 1), "c1,c2"},
		{"one of two, without backends", []int{0}, exporters(0, 1), "c2"},
		{"all", []int{0, 1}, exporters(1, 1), "c1,c2"},
	} {
		for _, i := range tc.drained {
			tc.all[i].Drained = true
		}
		if got := strings.Join(ringOf(tc.all), ","); got != tc.want {
			t.Errorf("%s: ring %s, want %s", tc.name, got, tc.want)
		}
	}
}
