// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// ErrCorrupt is returned by Parse for data that no version of this package wrote. Rebuild the table with Repair from New.
var ErrCorrupt = errors.New("corrupt port table")

// ErrVersion is returned by Parse for data of a newer version: it must not be overwritten.
var ErrVersion = errors.New("port table of a newer version")

const (
	// DataKey is the key of the ConfigMap's data under which the table stands.
	DataKey = "table.json"
	// version is the version of the encoding. Any change of it, be it one more field, has to raise it. Version 1 had no
	// endpoints.
	version = 2
	// maxEncoded bounds the encoded table, in bytes: a ConfigMap's data may have 1 MiB.
	maxEncoded = 900 << 10
)

// document is the table as JSON, such as
//
//	{"version":2,"legs":{"secure/payment":{"8080":[10000,10001]}},"free":["10002-14999","15101-29999"]}
type document struct {
	Version int `json:"version"`
	// Legs are ports by namespace/name of the service, then by service port, service port/WAN policy, or service
	// port@hostname.cluster.
	Legs map[string]map[string][]int32 `json:"legs"`
	// Free is the queue of free ports, next one first, ascending runs as first-last.
	Free []string `json:"free"`
}

// Data is the table as the data of a ConfigMap: the same table gives the same bytes.
func (t Table) Data() (map[string]string, error) {
	doc := document{Version: version, Legs: make(map[string]map[string][]int32, len(t.legs)), Free: runs(t.free)}
	for s, legs := range t.legs {
		of := make(map[string][]int32, len(legs))
		for _, l := range legs {
			of[l.encodedKey()] = l.ports
		}
		doc.Legs[s.namespace+"/"+s.name] = of
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode port table: %w", err)
	}
	return map[string]string{DataKey: string(raw)}, nil
}

func (l leg) encodedKey() string {
	out := strconv.Itoa(int(l.port))
	if l.policy != "" {
		out += "/" + l.policy
	}
	if l.endpoint != "" {
		out += "@" + l.endpoint
	}
	return out
}

// encodedNames is at least as many bytes as the names of a service and its legs take when encoded, quotes and brackets
// included.
func encodedNames(s service, legs []leg) int {
	if len(legs) == 0 {
		return 0
	}
	n := len(s.namespace) + len(s.name) + len(`"/":{},`)
	for _, l := range legs {
		n += len(l.encodedKey()) + len(`"":[],`)
	}
	return n
}

// encodedSize is an upper bound of the encoded table in bytes: each port takes at most eight ("12345",), wherever it is.
func (t Table) encodedSize() int {
	return t.names + 8*Total() + len(`{"version":2,"legs":{},"free":[]}`)
}

// Parse reads what Data wrote; nil or empty data is New. Errors are ErrCorrupt or ErrVersion and name the field.
func Parse(data map[string]string) (Table, error) {
	if len(data) == 0 {
		return New(), nil
	}
	raw, found := data[DataKey]
	if !found {
		return Table{}, fmt.Errorf("%w: key %q is missing", ErrCorrupt, DataKey)
	}
	doc, err := decode(raw)
	if err != nil {
		return Table{}, err
	}
	return doc.table()
}

// decode looks at the version first: what a newer version wrote is not corrupt, whatever it holds.
func decode(raw string) (document, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal([]byte(raw), &head); err != nil {
		return document{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if head.Version > version {
		return document{}, fmt.Errorf("%w: version %d, known is %d; run the version that wrote it, or a newer one", ErrVersion, head.Version, version)
	}
	if head.Version < 1 {
		return document{}, fmt.Errorf("%w: version: %d was never written", ErrCorrupt, head.Version)
	}
	var doc document
	d := json.NewDecoder(strings.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return document{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return document{}, fmt.Errorf("%w: something follows the table", ErrCorrupt)
	}
	return doc, nil
}

// table checks everything that the rest of the package relies on: names that can be written again, ports in range, and
// every port in one place only.
func (d document) table() (Table, error) {
	owner := make([]string, v1alpha1.MaxLegPort-v1alpha1.MinLegPort+1)
	claim := func(p int32, field string) error {
		if !usable(p) {
			return fmt.Errorf("%w: %s: %d is no port of legs", ErrCorrupt, field, p)
		}
		if other := owner[p-v1alpha1.MinLegPort]; other != "" {
			return fmt.Errorf("%w: %s: %d is in %s as well", ErrCorrupt, field, p, other)
		}
		owner[p-v1alpha1.MinLegPort] = field
		return nil
	}
	t := Table{legs: make(map[service][]leg, len(d.Legs)), free: make([]int32, 0, Total())}
	for _, of := range slices.Sorted(maps.Keys(d.Legs)) {
		s, parsed, err := parseService(of, d.Legs[of], claim)
		if err != nil {
			return Table{}, err
		}
		t.legs[s] = parsed
		t.names += encodedNames(s, parsed)
	}
	for i, run := range d.Free {
		field := fmt.Sprintf("free[%d]", i)
		first, last, err := parseRun(run)
		if err != nil {
			return Table{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, field, err)
		}
		for p := first; p <= last; p++ {
			if err := claim(p, field); err != nil {
				return Table{}, err
			}
			t.free = append(t.free, p)
		}
	}
	// A port in neither place is free all the same. It may have been in use until just now, so it goes last.
	for _, p := range allPorts() {
		if owner[p-v1alpha1.MinLegPort] == "" {
			t.free = append(t.free, p)
		}
	}
	return t, nil
}

func parseService(of string, legs map[string][]int32, claim func(int32, string) error) (service, []leg, error) {
	namespace, name, _ := strings.Cut(of, "/")
	s := service{namespace: namespace, name: name}
	if len(legs) == 0 {
		return s, nil, fmt.Errorf("%w: legs[%q] is empty", ErrCorrupt, of)
	}
	var out []leg
	for _, text := range slices.Sorted(maps.Keys(legs)) {
		ports, field := legs[text], fmt.Sprintf("legs[%q][%q]", of, text)
		l, err := parseLeg(text)
		if err != nil {
			return s, nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, field, err)
		}
		l.ports = ports
		if err := keyOf(s, l).validate(); err != nil {
			return s, nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, field, err)
		}
		if len(ports) == 0 {
			return s, nil, fmt.Errorf("%w: %s has no ports", ErrCorrupt, field)
		}
		for _, p := range ports {
			if err := claim(p, field); err != nil {
				return s, nil, err
			}
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b leg) int { return compareKeys(keyOf(s, a), keyOf(s, b)) })
	return s, out, nil
}

func parseLeg(text string) (leg, error) {
	rest, endpoint, _ := strings.Cut(text, "@")
	number, policy, _ := strings.Cut(rest, "/")
	port, err := parseNumber(number)
	if err != nil {
		return leg{}, err
	}
	l := leg{port: port, policy: policy, endpoint: endpoint}
	if l.encodedKey() != text {
		return leg{}, fmt.Errorf("%q is not how a leg is written", text)
	}
	return l, nil
}

// runs are the ports in their order, ascending runs shortened to first-last.
func runs(ports []int32) []string {
	out := []string{}
	for i := 0; i < len(ports); {
		end := i
		for end+1 < len(ports) && ports[end+1] == ports[end]+1 {
			end++
		}
		if end == i {
			out = append(out, strconv.Itoa(int(ports[i])))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", ports[i], ports[end]))
		}
		i = end + 1
	}
	return out
}

func parseRun(text string) (first, last int32, err error) {
	a, b, isRun := strings.Cut(text, "-")
	if first, err = parseNumber(a); err != nil || !isRun {
		return first, first, err
	}
	if last, err = parseNumber(b); err == nil && last <= first {
		err = fmt.Errorf("%q does not ascend", text)
	}
	return first, last, err
}

// parseNumber reads a port number in the one way it is written.
func parseNumber(text string) (int32, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("%q is no port number", text)
	}
	return int32(n), nil
}
