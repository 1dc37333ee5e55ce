// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Observation is what a live derived Service says about a key.
type Observation struct {
	Key Key
	// Ports are the key's ports in the order they were allocated.
	Ports []int32
}

// Finding is one thing that Repair changed or refused.
type Finding struct {
	Key Key
	// Message says what was found and what becomes of it.
	Message string
}

// Repair brings the table in line with the live derived Services, at start or when the table was lost. Live ports win
// over the table, because connections to them exist; of two live claims to a port the one that the table agrees with wins,
// else the lower key. Keys of the table that are not observed stay, unless a live one took a port of theirs. The order of
// observations does not matter. Findings say what was changed or refused; empty means that the table was right.
func (t Table) Repair(live []Observation) (Table, []Finding) {
	r := repair{table: t, owner: map[int32]Key{}, owned: map[Key][]int32{}}
	for _, o := range t.ranked(live) {
		r.observe(o)
	}
	for _, k := range t.Keys() {
		r.keep(k, t.get(k))
	}
	if len(r.findings) == 0 {
		return t, nil
	}
	return r.result(), r.findings
}

// ranked is the order of precedence of claims.
func (t Table) ranked(live []Observation) []Observation {
	agrees := func(o Observation) int {
		if slices.Equal(t.get(o.Key), o.Ports) {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(live), func(a, b Observation) int {
		return cmp.Or(cmp.Compare(agrees(a), agrees(b)), compareKeys(a.Key, b.Key), slices.Compare(a.Ports, b.Ports))
	})
}

type repair struct {
	table    Table
	owner    map[int32]Key
	owned    map[Key][]int32
	findings []Finding
}

func (r *repair) found(key Key, format string, args ...any) {
	r.findings = append(r.findings, Finding{Key: key, Message: fmt.Sprintf(format, args...)})
}

// observe gives a live claim its ports, unless it cannot have them.
func (r *repair) observe(o Observation) {
	if why := r.refuse(o); why != "" {
		r.found(o.Key, "its Service has the ports %v, but %s; it gets others", o.Ports, why)
		return
	}
	switch before := r.table.get(o.Key); {
	case len(before) == 0:
		r.found(o.Key, "the ports %v of its Service were not in the table", o.Ports)
	case !slices.Equal(before, o.Ports):
		r.found(o.Key, "the table has the ports %v, its Service %v; those of the Service stay", before, o.Ports)
	}
	r.claim(o.Key, o.Ports)
}

func (r *repair) refuse(o Observation) string {
	if err := o.Key.validate(); err != nil {
		return err.Error()
	}
	if len(o.Ports) == 0 {
		return "there should be some"
	}
	if _, twice := r.owned[o.Key]; twice {
		return "there is another Service for it"
	}
	for i, p := range o.Ports {
		if !usable(p) {
			return fmt.Sprintf("%d is no port of legs", p)
		}
		if slices.Contains(o.Ports[:i], p) {
			return fmt.Sprintf("%d is there twice", p)
		}
		if other, taken := r.owner[p]; taken {
			return fmt.Sprintf("%d belongs to %s", p, other)
		}
	}
	return ""
}

// keep leaves a key of the table its ports if nobody live has one of them.
func (r *repair) keep(key Key, ports []int32) {
	if _, live := r.owned[key]; live {
		return
	}
	for _, p := range ports {
		if other, taken := r.owner[p]; taken {
			r.found(key, "the table has the ports %v, but %d belongs to the live %s; it gets others", ports, p, other)
			return
		}
	}
	r.claim(key, ports)
}

func (r *repair) claim(key Key, ports []int32) {
	r.owned[key] = slices.Clone(ports)
	for _, p := range ports {
		r.owner[p] = key
	}
}

// result is the repaired table. Ports that were free keep their place in the queue; those that are free now go last.
func (r *repair) result() Table {
	t := Table{legs: map[service][]leg{}}
	for _, k := range slices.SortedFunc(maps.Keys(r.owned), compareKeys) {
		s := serviceOf(k)
		t.legs[s] = append(t.legs[s], leg{port: k.Port, policy: k.Policy, ports: r.owned[k]})
	}
	for s, legs := range t.legs {
		t.names += encodedNames(s, legs)
	}
	queued := SetOf(r.table.free...)
	for _, p := range r.table.free {
		if _, taken := r.owner[p]; !taken {
			t.free = append(t.free, p)
		}
	}
	for _, p := range allPorts() {
		if _, taken := r.owner[p]; !taken && !queued.Has(p) {
			t.free = append(t.free, p)
		}
	}
	return t
}
