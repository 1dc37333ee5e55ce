// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// ErrExhausted is returned when no port is left that the caller may have.
var ErrExhausted = errors.New("out of leg ports")

// Key is what ports are allocated for: one port of one imported service, of the service as a whole unless Policy or
// Endpoint says otherwise.
type Key struct {
	Namespace string
	Name      string
	// Port is the number of the service port.
	Port int32
	// Policy is the WAN policy of a leg that has a fixed one, else empty.
	Policy string
	// Endpoint is "hostname.cluster" of a leg that leads to one endpoint of a headless service, else empty.
	Endpoint string
}

// String is the key for messages: namespace/name:port, with the policy or the endpoint if there is one.
func (k Key) String() string {
	out := fmt.Sprintf("%s/%s:%d", k.Namespace, k.Name, k.Port)
	if k.Policy != "" {
		out += " over " + k.Policy
	}
	if k.Endpoint != "" {
		out += " at " + k.Endpoint
	}
	return out
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port),
		cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Endpoint, b.Endpoint))
}

// validate keeps out what Parse would not read back.
func (k Key) validate() error {
	hostname, cluster, _ := strings.Cut(cmp.Or(k.Endpoint, "none.none"), ".")
	for _, name := range []string{k.Namespace, k.Name, cmp.Or(k.Policy, "none"), hostname, cluster} {
		if len(validation.IsDNS1123Label(name)) > 0 {
			return fmt.Errorf("%q in the leg %s is not an RFC 1123 label", name, k)
		}
	}
	if len(validation.IsValidPortNum(int(k.Port))) > 0 {
		return fmt.Errorf("the service port of the leg %s is not in 1 to 65535", k)
	}
	return nil
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
// every change returns a new Table and leaves the receiver as it was, so it may be read by many at once. The zero value has
// no free port; see New and Parse.
type Table struct {
	// legs are the allocations by service. The lists are never changed in place: tables share them.
	legs map[service][]leg
	// free is the queue of free ports, the next one first. Never changed in place.
	free []int32
	// names is about how many bytes the names in legs take when encoded.
	names int
}

type service struct{ namespace, name string }

// leg is one key of a service with its ports; a service's legs are sorted by port, policy and endpoint.
type leg struct {
	port     int32
	policy   string
	endpoint string
	ports    []int32
}

// New is the table in which nothing is allocated: the ports are given out in ascending order first.
func New() Table {
	return Table{legs: map[service][]leg{}, free: allPorts()}
}

// PerLeg is how many ports a leg has: one for plain text, one for mutual TLS.
const PerLeg = 2

// Total is how many ports there are for legs.
func Total() int {
	return int(v1alpha1.MaxLegPort-v1alpha1.MinLegPort+1) - int(v1alpha1.MaxIstioPort-v1alpha1.MinIstioPort+1)
}

func allPorts() []int32 {
	out := make([]int32, 0, Total())
	for p := v1alpha1.MinLegPort; p <= v1alpha1.MaxLegPort; p++ {
		if usable(p) {
			out = append(out, p)
		}
	}
	return out
}

// usable says whether the number may be a leg's at all.
func usable(p int32) bool {
	return p >= v1alpha1.MinLegPort && p <= v1alpha1.MaxLegPort && (p < v1alpha1.MinIstioPort || p > v1alpha1.MaxIstioPort)
}

// Get is what the key has, in the order it was allocated; nil when it has nothing.
func (t Table) Get(key Key) []int32 { return slices.Clone(t.get(key)) }

func (t Table) get(key Key) []int32 {
	legs := t.legs[serviceOf(key)]
	if i, found := findLeg(legs, key); found {
		return legs[i].ports
	}
	return nil
}

// Keys are the keys that have ports, sorted.
func (t Table) Keys() []Key {
	var out []Key
	for s, legs := range t.legs {
		for _, l := range legs {
			out = append(out, keyOf(s, l))
		}
	}
	slices.SortFunc(out, compareKeys)
	return out
}

// Free is how many ports are left.
func (t Table) Free() int { return len(t.free) }

// Equal says whether two tables are the same, order of free ports included.
func (t Table) Equal(o Table) bool {
	sameLeg := func(a, b leg) bool {
		return a.port == b.port && a.policy == b.policy && a.endpoint == b.endpoint && slices.Equal(a.ports, b.ports)
	}
	return slices.Equal(t.free, o.free) &&
		maps.EqualFunc(t.legs, o.legs, func(a, b []leg) bool { return slices.EqualFunc(a, b, sameLeg) })
}

func serviceOf(k Key) service { return service{namespace: k.Namespace, name: k.Name} }

func keyOf(s service, l leg) Key {
	return Key{Namespace: s.namespace, Name: s.name, Port: l.port, Policy: l.policy, Endpoint: l.endpoint}
}

func findLeg(legs []leg, key Key) (int, bool) {
	return slices.BinarySearchFunc(legs, key, func(l leg, k Key) int {
		return cmp.Or(cmp.Compare(l.port, k.Port), cmp.Compare(l.policy, k.Policy), cmp.Compare(l.endpoint, k.Endpoint))
	})
}

// with is the table with the ports given to the key, or with the key gone if there are none. The queue is the caller's.
func (t Table) with(key Key, ports, free []int32) Table {
	s := serviceOf(key)
	legs := slices.Clone(t.legs[s])
	i, found := findLeg(legs, key)
	switch {
	case found && len(ports) == 0:
		legs = slices.Delete(legs, i, i+1)
	case found:
		legs[i].ports = ports
	case len(ports) > 0:
		legs = slices.Insert(legs, i, leg{port: key.Port, policy: key.Policy, endpoint: key.Endpoint, ports: ports})
	}
	out := Table{legs: maps.Clone(t.legs), free: free, names: t.names + encodedNames(s, legs) - encodedNames(s, t.legs[s])}
	if out.legs == nil {
		out.legs = map[service][]leg{}
	}
	if len(legs) == 0 {
		delete(out.legs, s)
	} else {
		out.legs[s] = legs
	}
	return out
}
