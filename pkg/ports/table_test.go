// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func key(name string) Key { return Key{Namespace: "secure", Name: name, Port: 8080} }

func allocate(t *testing.T, table Table, k Key, n int, avoid Set) (Table, []int32) {
	t.Helper()
	out, got, err := table.Allocate(k, n, avoid)
	if err != nil {
		t.Fatalf("Allocate(%s, %d): %v", k, n, err)
	}
	return out, got
}

func wantPorts(t *testing.T, what string, got []int32, want ...int32) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s = %v, want %v", what, got, want)
	}
}

func TestAllocate(t *testing.T) {
	empty := New()
	one, got := allocate(t, empty, key("payment"), 2, nil)
	wantPorts(t, "first ports", got, 10000, 10001)
	again, got := allocate(t, one, key("payment"), 2, nil)
	wantPorts(t, "the same key's ports", got, 10000, 10001)
	if !again.Equal(one) {
		t.Error("asking again changes the table")
	}
	two, got := allocate(t, one, key("other"), 2, nil)
	wantPorts(t, "another key's ports", got, 10002, 10003)
	_, got = allocate(t, two, Key{Namespace: "secure", Name: "payment", Port: 8080, Policy: "high"}, 1, nil)
	wantPorts(t, "a fixed policy's port", got, 10004)
	if empty.Free() != Total() || one.Free() != Total()-2 || one.Get(key("other")) != nil {
		t.Error("a table changed under its holder")
	}
	got = two.Get(key("payment"))
	got[0] = 1
	wantPorts(t, "ports after the caller scribbled on them", two.Get(key("payment")), 10000, 10001)
}

func TestAvoid(t *testing.T) {
	table, got := allocate(t, New(), key("a"), 2, SetOf(10000, 10002))
	wantPorts(t, "ports", got, 10001, 10003)
	table, got = allocate(t, table, key("b"), 2, nil)
	wantPorts(t, "what one avoids another gets", got, 10000, 10002)

	moved, got := allocate(t, table, key("a"), 2, SetOf(10003))
	wantPorts(t, "a port that has to be avoided now is replaced", got, 10001, 10004)
	if last := moved.free[len(moved.free)-1]; last != 10003 {
		t.Errorf("the port that came back is not last in the queue, %d is", last)
	}
}

func TestMoreAndFewer(t *testing.T) {
	table, _ := allocate(t, New(), key("a"), 2, nil)
	table, got := allocate(t, table, key("a"), 3, nil)
	wantPorts(t, "more", got, 10000, 10001, 10002)
	table, got = allocate(t, table, key("a"), 1, nil)
	wantPorts(t, "fewer", got, 10000)
	if table.Free() != Total()-1 {
		t.Errorf("%d are free", table.Free())
	}
}

// TestFreedPortComesLast: deleting A and creating B, over and over, gives B a port of A only after every other.
func TestFreedPortComesLast(t *testing.T) {
	table, held := allocate(t, New(), key("held"), 1, nil)
	seen := map[int32]bool{held[0]: true}
	for i := range Total() - 1 {
		var got []int32
		table, got = allocate(t, table, key(fmt.Sprint("import-", i)), 1, nil)
		if seen[got[0]] {
			t.Fatalf("import %d got %d for the second time while others were never used", i, got[0])
		}
		seen[got[0]] = true
		table = table.Release(key(fmt.Sprint("import-", i)))
	}
	if len(seen) != Total() {
		t.Errorf("%d of %d ports were used", len(seen), Total())
	}
	_, got := allocate(t, table, key("next"), 1, nil)
	wantPorts(t, "then the one that was freed first", got, 10001)
}

func TestExhausted(t *testing.T) {
	full, _ := allocate(t, New(), key("all"), Total()-1, nil)
	last := full.free[0]
	for name, tc := range map[string]struct {
		n     int
		avoid Set
		want  string
	}{
		"too many":          {2, nil, "out of leg ports: secure/more:8080 needs 2, and of 19899 ports 1 are free but 1 too few of them are not its own service ports; remove exports that nobody needs, or limit what peers may bring by Peer.spec.namespaces"},
		"all to be avoided": {1, SetOf(last), "out of leg ports"},
	} {
		t.Run(name, func(t *testing.T) {
			after, got, err := full.Allocate(key("more"), tc.n, tc.avoid)
			if !errors.Is(err, ErrExhausted) || got != nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("Allocate = %v, %v", got, err)
			}
			if !after.Equal(full) {
				t.Error("the failed allocation changed the table")
			}
		})
	}
	if _, _, err := full.Release(key("all")).Allocate(key("more"), 2, nil); err != nil {
		t.Errorf("after a release: %v", err)
	}
}

// TestNoRoom: a table of very long names must stay small enough for a ConfigMap.
func TestNoRoom(t *testing.T) {
	long := strings.Repeat("n", 55)
	table := New()
	var err error
	n := 0
	for ; err == nil && n < Total(); n++ {
		table, _, err = table.Allocate(Key{Namespace: long, Name: fmt.Sprintf("%s-%d", long, n), Port: 65535, Policy: long}, 1, nil)
	}
	if !errors.Is(err, ErrExhausted) {
		t.Fatalf("%d legs of long names: %v", n, err)
	}
	data := encode(t, table)
	if size := len(data[DataKey]); size > maxEncoded || size < maxEncoded/2 {
		t.Errorf("%d legs take %d bytes", n, size)
	}
	if k := table.Keys()[0]; true {
		if _, _, err := table.Allocate(k, 2, nil); err != nil {
			t.Errorf("a key that is in the table cannot change any more: %v", err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		key  Key
		n    int
		want string
	}{
		"no ports":     {key("a"), 0, "0 ports wanted for secure/a:8080"},
		"namespace":    {Key{Namespace: "a/b", Name: "c", Port: 1}, 1, `"a/b" in the leg`},
		"name":         {Key{Namespace: "a", Name: "", Port: 1}, 1, `"" in the leg`},
		"policy":       {Key{Namespace: "a", Name: "b", Port: 1, Policy: "X"}, 1, `"X" in the leg`},
		"service port": {Key{Namespace: "a", Name: "b"}, 1, "the service port of the leg a/b:0"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got, err := New().Allocate(tc.key, tc.n, nil); err == nil || got != nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("Allocate = %v, %v", got, err)
			}
		})
	}
}

func TestReleaseAndRetain(t *testing.T) {
	table := New()
	for _, n := range []string{"a", "b", "c"} {
		table, _ = allocate(t, table, key(n), 2, nil)
	}
	if same := table.Release(key("unknown")); !same.Equal(table) {
		t.Error("releasing nothing changes the table")
	}
	fixed := key("b")
	fixed.Policy = "high"
	table, _ = allocate(t, table, fixed, 1, nil)
	if same := table.Retain(key("b").Namespace, "b", func(Key) bool { return true }); !same.Equal(table) {
		t.Error("retaining everything changes the table")
	}
	left := table.Retain(key("b").Namespace, "b", func(k Key) bool { return k.Policy == "" })
	if diff := cmp.Diff([]Key{key("a"), key("b"), key("c")}, left.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	left = left.Retain(key("b").Namespace, "b", func(Key) bool { return false })
	if diff := cmp.Diff([]Key{key("a"), key("c")}, left.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	wantPorts(t, "end of the queue", left.free[len(left.free)-3:], 10006, 10002, 10003)
}

// TestRange: what the API package says of leg ports holds for every port that is ever given out.
func TestRange(t *testing.T) {
	_, all := allocate(t, New(), key("all"), Total(), nil)
	for _, p := range all {
		if p < v1alpha1.MinLegPort || p > v1alpha1.MaxLegPort || (p >= v1alpha1.MinIstioPort && p <= v1alpha1.MaxIstioPort) {
			t.Fatalf("%d was given out", p)
		}
	}
}

func TestZeroTable(t *testing.T) {
	var zero Table
	if _, _, err := zero.Allocate(key("a"), 1, nil); !errors.Is(err, ErrExhausted) {
		t.Errorf("Allocate of the zero value: %v", err)
	}
	if zero.Free() != 0 || zero.Keys() != nil || zero.Get(key("a")) != nil || !zero.Release(key("a")).Equal(zero) {
		t.Error("the zero value has something")
	}
	repaired, _ := zero.Repair([]Observation{{key("a"), []int32{10000}}})
	wantPorts(t, "a repaired zero value", repaired.Get(key("a")), 10000)
}
