// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRepair(t *testing.T) {
	a, b, c := key("a"), key("b"), key("c")
	// In the table a has 10000 and 10001, b has 10002 and 10003.
	table, _ := allocate(t, New(), a, 2, nil)
	table, _ = allocate(t, table, b, 2, nil)
	for name, tc := range map[string]struct {
		table    Table
		live     []Observation
		want     map[Key][]int32
		findings []Finding
	}{
		"nothing is wrong": {table, []Observation{{b, []int32{10002, 10003}}, {a, []int32{10000, 10001}}},
			map[Key][]int32{a: {10000, 10001}, b: {10002, 10003}}, nil},
		"allocated, but the Service is not written yet": {table, []Observation{{a, []int32{10000, 10001}}},
			map[Key][]int32{a: {10000, 10001}, b: {10002, 10003}}, nil},
		"the table was lost": {New(), []Observation{{a, []int32{12000, 12001}}, {b, []int32{10002, 10003}}},
			map[Key][]int32{a: {12000, 12001}, b: {10002, 10003}},
			[]Finding{{a, "the ports [12000 12001] of its Service were not in the table"}, {b, "the ports [10002 10003] of its Service were not in the table"}}},
		"the table was rolled back: a has moved on, c has its ports": {table, []Observation{{c, []int32{10000, 10001}}, {a, []int32{10004, 10005}}, {b, []int32{10002, 10003}}},
			map[Key][]int32{a: {10004, 10005}, b: {10002, 10003}, c: {10000, 10001}},
			[]Finding{{a, "the table has the ports [10000 10001], its Service [10004 10005]; those of the Service stay"}, {c, "the ports [10000 10001] of its Service were not in the table"}}},
		"a live one has what the table gave to one that has no Service": {table, []Observation{{c, []int32{10001, 10004}}, {b, []int32{10002, 10003}}},
			map[Key][]int32{b: {10002, 10003}, c: {10001, 10004}},
			[]Finding{{c, "the ports [10001 10004] of its Service were not in the table"}, {a, "the table has the ports [10000 10001], but 10001 belongs to the live secure/c:8080; it gets others"}}},
		"two live claims: the table decides": {table, []Observation{{a, []int32{10002, 10009}}, {b, []int32{10002, 10003}}},
			map[Key][]int32{a: {10000, 10001}, b: {10002, 10003}},
			[]Finding{{a, "its Service has the ports [10002 10009], but 10002 belongs to secure/b:8080; it gets others"}}},
		"two live claims that the table does not know: the lower key": {New(), []Observation{{c, []int32{10002}}, {b, []int32{10002}}},
			map[Key][]int32{b: {10002}},
			[]Finding{{b, "the ports [10002] of its Service were not in the table"}, {c, "its Service has the ports [10002], but 10002 belongs to secure/b:8080; it gets others"}}},
		"two Services for one key": {New(), []Observation{{b, []int32{10003}}, {b, []int32{10002}}},
			map[Key][]int32{b: {10002}},
			[]Finding{{b, "the ports [10002] of its Service were not in the table"}, {b, "its Service has the ports [10003], but there is another Service for it; it gets others"}}},
		"garbage": {New(), []Observation{{a, []int32{15021}}, {b, []int32{10002, 10002}}, {c, nil}, {Key{Name: "x"}, []int32{10000}}}, map[Key][]int32{},
			[]Finding{
				{Key{Name: "x"}, `its Service has the ports [10000], but "" in the leg /x:0 is not an RFC 1123 label; it gets others`},
				{a, "its Service has the ports [15021], but 15021 is no port of legs; it gets others"},
				{b, "its Service has the ports [10002 10002], but 10002 is there twice; it gets others"},
				{c, "its Service has the ports [], but there should be some; it gets others"},
			}},
	} {
		t.Run(name, func(t *testing.T) {
			live := slices.Clone(tc.live)
			got, findings := tc.table.Repair(tc.live)
			has := map[Key][]int32{}
			for _, k := range got.Keys() {
				has[k] = got.Get(k)
			}
			sortFindings := func(f []Finding) []Finding {
				return slices.SortedStableFunc(slices.Values(f), func(x, y Finding) int { return compareKeys(x.Key, y.Key) })
			}
			if diff := cmp.Diff(tc.want, has); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(sortFindings(tc.findings), sortFindings(findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(live, tc.live); diff != "" {
				t.Errorf("the input was changed:\n%s", diff)
			}
			checkTable(t, got)
			slices.Reverse(live)
			if again, _ := tc.table.Repair(live); !again.Equal(got) {
				t.Error("the order of observations matters")
			}
			if again, f := got.Repair(accepted(got, tc.live)); !again.Equal(got) || len(f) > 0 {
				t.Errorf("repairing what is repaired finds %v", f)
			}
		})
	}
}

// accepted are the observations that the table agrees with.
func accepted(table Table, live []Observation) []Observation {
	return slices.DeleteFunc(slices.Clone(live), func(o Observation) bool {
		return len(o.Ports) == 0 || !slices.Equal(table.Get(o.Key), o.Ports)
	})
}

// TestRepairKeepsTheQueue: a port that a repair frees is the last to be given out.
func TestRepairKeepsTheQueue(t *testing.T) {
	table, _ := allocate(t, New(), key("a"), 2, nil)
	table, _ = allocate(t, table, key("b"), 1, nil)
	table = table.Release(key("b"))
	got, _ := table.Repair([]Observation{{key("a"), []int32{10005, 10006}}})
	wantPorts(t, "end of the queue", got.free[len(got.free)-3:], 10002, 10000, 10001)
	wantPorts(t, "head of the queue", got.free[:4], 10003, 10004, 10007, 10008)
}
