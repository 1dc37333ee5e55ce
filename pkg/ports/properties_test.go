// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// checkTable is what holds of every table: each port is in one place, and what is written is what is read.
func checkTable(t testing.TB, table Table) {
	t.Helper()
	all := slices.Clone(table.free)
	for _, k := range table.Keys() {
		all = append(all, table.Get(k)...)
	}
	slices.Sort(all)
	if !slices.Equal(all, allPorts()) {
		t.Fatal("not every port of legs is in exactly one place")
	}
	data := encode(t, table)
	back := parse(t, data)
	if !back.Equal(table) || back.names != table.names {
		t.Fatal("what was written is not what is read")
	}
	if again := encode(t, back); again[DataKey] != data[DataKey] {
		t.Fatal("the same table gives other bytes")
	}
	if n := len(data[DataKey]); n > table.encodedSize() {
		t.Fatalf("encoded to %d bytes, at most %d expected", n, table.encodedSize())
	}
}

// model is a second, plain implementation of the promise: who has what, and when each port was last given back.
type model struct {
	has   map[Key][]int32
	freed map[int32]int // step of the last release; 0 = never given out, then lower numbers first
	step  int
}

func (m *model) release(ports ...int32) {
	for _, p := range ports {
		m.step++
		m.freed[p] = m.step
	}
}

// wantLeastRecent fails if a port was given out although another one that was allowed has been free for longer.
func (m *model) wantLeastRecent(t *testing.T, got []int32, avoid Set) {
	t.Helper()
	if len(got) == 0 {
		return
	}
	before := func(a, b int32) int { return cmp.Or(cmp.Compare(m.freed[a], m.freed[b]), cmp.Compare(a, b)) }
	last := slices.MaxFunc(got, before)
	gone := SetOf(got...)
	for _, ports := range m.has {
		for _, p := range ports {
			gone[p] = struct{}{}
		}
	}
	for _, p := range allPorts() {
		if !gone.Has(p) && !avoid.Has(p) && before(p, last) < 0 {
			t.Fatalf("%d (freed at %d) was given out before %d (freed at %d)", last, m.freed[last], p, m.freed[p])
		}
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			table, m := New(), &model{has: map[Key][]int32{}, freed: map[int32]int{}}
			for range 100 {
				k := Key{Namespace: string(rune('a' + r.IntN(2))), Name: string(rune('a' + r.IntN(3))), Port: r.Int32N(2) + 80}
				before, written := table, encode(t, table)[DataKey]
				if r.IntN(3) == 0 {
					table = table.Release(k)
					m.release(m.has[k]...)
					delete(m.has, k)
				} else {
					table = step(t, r, table, m, k)
				}
				if len(table.Keys()) != len(m.has) {
					t.Fatalf("%d keys, want %d", len(table.Keys()), len(m.has))
				}
				for k, want := range m.has {
					wantPorts(t, k.String(), table.Get(k), want...)
				}
				checkTable(t, table)
				if encode(t, before)[DataKey] != written {
					t.Fatal("a table changed under its holder")
				}
			}
		})
	}
}

// step allocates, mostly a few ports, sometimes thousands, so that the queue wraps around.
func step(t *testing.T, r *rand.Rand, table Table, m *model, k Key) Table {
	n := []int{1, 2, 3, 4000}[r.IntN(4)]
	avoid := SetOf(table.free[:min(len(table.free), r.IntN(3))]...)
	if have := m.has[k]; len(have) > 0 && r.IntN(3) == 0 {
		avoid[have[0]] = struct{}{}
	}
	after, got, err := table.Allocate(k, n, avoid)
	if err != nil {
		if !errors.Is(err, ErrExhausted) || table.Free()+len(m.has[k]) >= n+len(avoid) {
			t.Fatalf("Allocate(%s, %d) with %d free: %v", k, n, table.Free(), err)
		}
		return table
	}
	old := m.has[k]
	had := SetOf(old...)
	var back, fresh []int32
	for i, p := range old {
		if i >= n || avoid.Has(p) {
			back = append(back, p)
		} else if got[i] != p {
			t.Fatalf("%s lost %d for nothing", k, p)
		}
	}
	for _, p := range got {
		if avoid.Has(p) {
			t.Fatalf("%s got %d, which it must not have", k, p)
		}
		if !had.Has(p) {
			fresh = append(fresh, p)
		}
	}
	m.wantLeastRecent(t, fresh, avoid)
	m.has[k] = got
	m.release(back...)
	return after
}

// FuzzParse: whatever stands in the ConfigMap, Parse does not break, and what it accepts is a table.
func FuzzParse(f *testing.F) {
	table, _, err := New().Allocate(key("a"), 2, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encode(f, table)[DataKey])
	f.Add(`{"version":2,"legs":{"a/b":{"80/high":[10000]}},"free":["10001","10003-10005"]}`)
	f.Add(`{"version":2}`)
	f.Fuzz(func(t *testing.T, raw string) {
		table, err := Parse(map[string]string{DataKey: raw})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		checkTable(t, table)
	})
}

// FuzzRepair: whatever the live Services say, the result is a table in which everybody observed either has those ports or
// is in the findings.
func FuzzRepair(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 2, 4}, []byte{3, 2, 1})
	f.Add([]byte{0, 0, 0}, []byte{})
	f.Fuzz(func(t *testing.T, before, live []byte) {
		table, _ := New().Repair(observations(before))
		checkTable(t, table)
		seen := observations(live)
		got, findings := table.Repair(seen)
		checkTable(t, got)
		for _, o := range seen {
			refused := slices.ContainsFunc(findings, func(f Finding) bool { return f.Key == o.Key })
			if !slices.Equal(got.Get(o.Key), o.Ports) && !refused {
				t.Fatalf("%s has %v, its Service %v, and nothing was found", o.Key, got.Get(o.Key), o.Ports)
			}
		}
	})
}

// observations makes claims of a few keys to a few ports out of bytes, three a claim.
func observations(raw []byte) []Observation {
	var out []Observation
	for ; len(raw) >= 3; raw = raw[3:] {
		out = append(out, Observation{
			Key:   Key{Namespace: "a", Name: string(rune('a' + raw[0]%8)), Port: int32(raw[0]/128) + 79},
			Ports: []int32{9998 + int32(raw[1]%16), 9998 + int32(raw[2]%16)},
		})
	}
	return out
}

// BenchmarkStart is what a controller does at first start with 1000 imports of five ports: one table per import, written
// and read back as another replica would.
func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		table := New()
		for i := range 1000 {
			for p := range int32(5) {
				next, _, err := table.Allocate(Key{Namespace: fmt.Sprintf("team-%d", i%50), Name: fmt.Sprintf("service-%d", i), Port: 8080 + p}, 2, SetOf(8080, 8081))
				if err != nil {
					b.Fatal(err)
				}
				table = next
			}
		}
		b.ReportMetric(float64(len(encode(b, table)[DataKey])), "bytes")
	}
}

func BenchmarkParseAndData(b *testing.B) {
	table := New()
	for i := range 1000 {
		for p := range int32(5) {
			table, _, _ = table.Allocate(Key{Namespace: fmt.Sprintf("team-%d", i%50), Name: fmt.Sprintf("service-%d", i), Port: 8080 + p}, 2, nil)
		}
	}
	data := encode(b, table)
	b.ReportAllocs()
	for b.Loop() {
		encode(b, parse(b, data))
	}
}
