// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func encode(t testing.TB, table Table) map[string]string {
	t.Helper()
	data, err := table.Data()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data map[string]string) Table {
	t.Helper()
	table, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestEncoding holds the bytes: a change of them needs a new version.
func TestEncoding(t *testing.T) {
	table, _ := allocate(t, New(), key("payment"), 2, nil)
	table, _ = allocate(t, table, Key{Namespace: "secure", Name: "payment", Port: 8080, Policy: "sd-wan-priority-high"}, 1, nil)
	table, _ = allocate(t, table, Key{Namespace: "default", Name: "echo", Port: 80}, 2, SetOf(10004))
	table = table.Release(Key{Namespace: "secure", Name: "payment", Port: 8080, Policy: "sd-wan-priority-high"})
	want := map[string]string{"table.json": `{"version":2,"legs":{"default/echo":{"80":[10003,10005]},"secure/payment":{"8080":[10000,10001]}},` +
		`"free":["10004","10006-14999","15101-29999","10002"]}`}
	if diff := cmp.Diff(want, encode(t, table)); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	endpoint := Key{Namespace: "default", Name: "echo", Port: 80, Endpoint: "web-0.cluster-2"}
	table, _ = allocate(t, table, endpoint, 2, nil)
	want[DataKey] = `{"version":2,"legs":{"default/echo":{"80":[10003,10005],"80@web-0.cluster-2":[10004,10006]},"secure/payment":{"8080":[10000,10001]}},` +
		`"free":["10007-14999","15101-29999","10002"]}`
	if diff := cmp.Diff(want, encode(t, table)); diff != "" {
		t.Errorf("data with an endpoint (-want +got):\n%s", diff)
	}
	if back := parse(t, want); !back.Equal(table) || back.names != table.names {
		t.Error("what was written is not what is read")
	}
}

func TestParseNothing(t *testing.T) {
	for _, data := range []map[string]string{nil, {}} {
		if !parse(t, data).Equal(New()) {
			t.Error("no data is not a new table")
		}
	}
}

// TestParseMissingPorts: ports that are in neither place are free, and last in the queue.
func TestParseMissingPorts(t *testing.T) {
	table := parse(t, map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":[10000]}},"free":["20000-29999","10500"]}`})
	if table.Free() != Total()-1 {
		t.Errorf("%d free", table.Free())
	}
	if table.free[0] != 20000 || table.free[10000] != 10500 || table.free[10001] != 10001 {
		t.Errorf("queue starts %d, %d, %d", table.free[0], table.free[10000], table.free[10001])
	}
}

// TestParseVersion1: what the version before wrote is read, and written anew as the current one.
func TestParseVersion1(t *testing.T) {
	table := parse(t, map[string]string{DataKey: `{"version":1,"legs":{"a/b":{"80/high":[10000]}},"free":["10001-14999","15101-29999"]}`})
	wantPorts(t, "a/b", table.Get(Key{Namespace: "a", Name: "b", Port: 80, Policy: "high"}), 10000)
}

func TestParseGarbage(t *testing.T) {
	for name, tc := range map[string]struct {
		data map[string]string
		is   error
		want string // what the message names
	}{
		"another key":           {map[string]string{"other": ""}, ErrCorrupt, `"table.json"`},
		"nothing":               {map[string]string{DataKey: ""}, ErrCorrupt, ""},
		"no JSON":               {map[string]string{DataKey: "legs: {}"}, ErrCorrupt, ""},
		"another kind of JSON":  {map[string]string{DataKey: "[]"}, ErrCorrupt, ""},
		"null":                  {map[string]string{DataKey: "null"}, ErrCorrupt, "version"},
		"no version":            {map[string]string{DataKey: `{"legs":{},"free":[]}`}, ErrCorrupt, "version"},
		"newer, and different":  {map[string]string{DataKey: `{"version":3,"legs":[]}`}, ErrVersion, "version 3"},
		"a field more":          {map[string]string{DataKey: `{"version":2,"legs":{},"free":[],"x":1}`}, ErrCorrupt, `"x"`},
		"something behind":      {map[string]string{DataKey: `{"version":2,"legs":{},"free":[]} {}`}, ErrCorrupt, ""},
		"service":               {map[string]string{DataKey: `{"version":2,"legs":{"payment":{"80":[10000]}},"free":[]}`}, ErrCorrupt, `legs["payment"]["80"]`},
		"service of three":      {map[string]string{DataKey: `{"version":2,"legs":{"a/b/c":{"80":[10000]}},"free":[]}`}, ErrCorrupt, `legs["a/b/c"]["80"]`},
		"no legs":               {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{}},"free":[]}`}, ErrCorrupt, `legs["a/b"]`},
		"service port":          {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"080":[10000]}},"free":[]}`}, ErrCorrupt, `legs["a/b"]["080"]`},
		"service port too big":  {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"65536":[10000]}},"free":[]}`}, ErrCorrupt, `"65536"`},
		"service port zero":     {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"0":[10000]}},"free":[]}`}, ErrCorrupt, `legs["a/b"]["0"]`},
		"policy":                {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80/":[10000]}},"free":[]}`}, ErrCorrupt, `"80/"`},
		"endpoint":              {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80@web-0":[10000]}},"free":[]}`}, ErrCorrupt, `legs["a/b"]["80@web-0"]`},
		"no ports":              {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":[]}},"free":[]}`}, ErrCorrupt, `legs["a/b"]["80"]`},
		"port out of range":     {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":[443]}},"free":[]}`}, ErrCorrupt, "443"},
		"port of Istio":         {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":[15021]}},"free":[]}`}, ErrCorrupt, "15021"},
		"port of another type":  {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":["x"]}},"free":[]}`}, ErrCorrupt, ""},
		"port twice":            {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":[10000,10000]}},"free":[]}`}, ErrCorrupt, "10000"},
		"port of two":           {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":[10000]},"a/c":{"80":[10000]}},"free":[]}`}, ErrCorrupt, `legs["a/b"]["80"] as well`},
		"owned and free":        {map[string]string{DataKey: `{"version":2,"legs":{"a/b":{"80":[10000]}},"free":["10000"]}`}, ErrCorrupt, "free[0]"},
		"free twice":            {map[string]string{DataKey: `{"version":2,"legs":{},"free":["10000-10005","10003"]}`}, ErrCorrupt, "free[1]"},
		"free out of range":     {map[string]string{DataKey: `{"version":2,"legs":{},"free":["1-65535"]}`}, ErrCorrupt, "free[0]"},
		"a run the wrong way":   {map[string]string{DataKey: `{"version":2,"legs":{},"free":["10005-10000"]}`}, ErrCorrupt, "free[0]"},
		"a run that is no run":  {map[string]string{DataKey: `{"version":2,"legs":{},"free":["10005-"]}`}, ErrCorrupt, "free[0]"},
		"a run that is no port": {map[string]string{DataKey: `{"version":2,"legs":{},"free":["+10005"]}`}, ErrCorrupt, "free[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tc.data)
			if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse: %v, want %v that names %s", err, tc.is, tc.want)
			}
		})
	}
}
