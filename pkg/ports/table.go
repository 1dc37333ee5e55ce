// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"errors"
)

// ErrExhausted is returned when no port is left that the caller may have.
var ErrExhausted = errors.New("out of leg ports")

// ErrCorrupt is returned by Parse for data that no version of this package wrote. Rebuild the table with Repair from New.
var ErrCorrupt = errors.New("corrupt port table")

// ErrVersion is returned by Parse for data of a newer version: it must not be overwritten.
var ErrVersion = errors.New("port table of a newer version")

// Key is what ports are allocated for: one port of one imported service. Policy is empty except for a leg with a fixed
// WAN policy.
type Key struct {
	Namespace string
	Name      string
	// Port is the number of the service port.
	Port int32
	// Policy is the WAN policy of a leg that has a fixed one, else empty.
	Policy string
}

// Set is a set of port numbers.
type Set map[int32]struct{}

// SetOf makes a set of the numbers.
func SetOf(numbers ...int32) Set {
	s := make(Set, len(numbers))
	for _, n := range numbers {
		s[n] = struct{}{}
	}
	return s
}

// Has says whether the number is in the set; a nil set is empty.
func (s Set) Has(number int32) bool {
	_, ok := s[number]
	return ok
}

// Table says which leg ports belong to which key, and in which order the free ones will be given out. It is a value:
// every change returns a new Table and leaves the receiver as it was. The zero value is not usable; see New and Parse.
type Table struct{}

// New is the table in which nothing is allocated.
func New() Table { return Table{} }

// Parse reads what Data wrote; nil or empty data is New. Errors are ErrCorrupt or ErrVersion and name the field.
func Parse(data map[string]string) (Table, error) { return Table{}, nil }

// Data is the table as the data of a ConfigMap: the same table gives the same bytes.
func (t Table) Data() (map[string]string, error) { return nil, nil }

// Allocate gives the key n ports outside avoid. A key that has ports keeps them: it gets more or fewer only if n differs,
// and another one for each that is in avoid now. On error (ErrExhausted) the table is unchanged.
func (t Table) Allocate(key Key, n int, avoid Set) (Table, []int32, error) { return t, nil, nil }

// Release takes the key's ports back. A freed port is not given out again until every other free one has been.
func (t Table) Release(key Key) Table { return t }

// Retain releases every key for which keep says no.
func (t Table) Retain(keep func(Key) bool) Table { return t }

// Get is what the key has, in the order it was allocated; nil when it has nothing.
func (t Table) Get(key Key) []int32 { return nil }

// Keys are the keys that have ports, sorted.
func (t Table) Keys() []Key { return nil }

// Free is how many ports are left.
func (t Table) Free() int { return 0 }

// Equal says whether two tables are the same, order of free ports included.
func (t Table) Equal(o Table) bool { return false }

// Observation is what a live derived Service says about a key.
type Observation struct {
	Key   Key
	Ports []int32
}

// Repair brings the table in line with the live derived Services, at start or when the table was lost. Live ports win
// over the table; of two live claims to a port the one that the table agrees with wins, else the lower key. Keys of the
// table that are not observed stay, unless a live one took a port of theirs. Findings say what was changed; empty means
// that the table was right.
func (t Table) Repair(live []Observation) (Table, []Finding) { return t, nil }

// Finding is one thing that Repair changed.
type Finding struct {
	Key     Key
	Message string
}
