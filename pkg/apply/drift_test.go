// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// decode reads JSON as the API machinery does: whole numbers are int64.
func decode(t *testing.T, raw string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := utiljson.Unmarshal([]byte(raw), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDrifted(t *testing.T) {
	const (
		status = `{"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"Theirs","status":"True"}],"n":1}}`
		fields = `{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},"f:type":{},"f:status":{}}}}}`
	)
	cases := []struct {
		name, live, want, fields, manager, subresource string
		drifted                                        bool
	}{
		{"as written", status, `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, fields, "m", "status", false},
		{"value differs", status, `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`, fields, "m", "status", true},
		{"element no longer stated", status, `{"status":{"conditions":[]}}`, fields, "m", "status", true},
		{"field of an element no longer stated", status, `{"status":{"conditions":[{"type":"Ready"}]}}`, fields, "m", "status", true},
		{"another's element is now stated", status, `{"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"Theirs","status":"True"}]}}`, fields, "m", "status", true},
		{"another's field is now stated", status, `{"status":{"conditions":[{"type":"Ready","status":"True"}],"n":1}}`, fields, "m", "status", true},
		{"another manager", status, `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, fields, "other", "status", true},
		{"another subresource", status, `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, fields, "m", "", true},
		{"atomic list", `{"spec":{"l":[{"a":1,"defaulted":2},{"b":1}]}}`, `{"spec":{"l":[{"a":1},{"b":1}]}}`, `{"f:spec":{"f:l":{}}}`, "m", "", false},
		{"atomic list in another order", `{"spec":{"l":[{"b":1},{"a":1}]}}`, `{"spec":{"l":[{"a":1},{"b":1}]}}`, `{"f:spec":{"f:l":{}}}`, "m", "", true},
		{"set", `{"spec":{"s":["theirs","b","a"]}}`, `{"spec":{"s":["a","b"]}}`, `{"f:spec":{"f:s":{"v:\"a\"":{},"v:\"b\"":{}}}}`, "m", "", false},
		{"set misses one", `{"spec":{"s":["theirs","b"]}}`, `{"spec":{"s":["a","b"]}}`, `{"f:spec":{"f:s":{"v:\"a\"":{},"v:\"b\"":{}}}}`, "m", "", true},
		{"status is never stated with the object", `{"spec":{"a":1}}`, `{"spec":{"a":1}}`, `{"f:spec":{"f:a":{}},"f:status":{}}`, "m", "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sub := ""
			if c.fields == fields {
				sub = "status"
			}
			managed := []metav1.ManagedFieldsEntry{{
				Manager: "m", Operation: metav1.ManagedFieldsOperationApply, Subresource: sub, FieldsV1: metav1.NewFieldsV1(c.fields),
			}}
			if got := drifted(decode(t, c.live), decode(t, c.want), managed, c.manager, c.subresource); got != c.drifted {
				t.Errorf("drifted %v, want %v", got, c.drifted)
			}
		})
	}
}

func TestStabilize(t *testing.T) {
	live := decode(t, `{"status":{"conditions":[
		{"type":"Same","status":"True","reason":"Old","lastTransitionTime":"2020-01-01T00:00:00Z"},
		{"type":"Flips","status":"False","reason":"Old","lastTransitionTime":"2020-01-01T00:00:00Z"}]}}`)
	want := decode(t, `{"status":{"conditions":[
		{"type":"Same","status":"True","reason":"Old","observedGeneration":2},
		{"type":"Flips","status":"True","reason":"New"},
		{"type":"Appears","status":"Unknown","reason":"New"}]}}`)
	transitions := stabilize(want, live, 3, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if len(transitions) != 2 || transitions[0].Type != "Flips" || transitions[1].Type != "Appears" {
		t.Errorf("transitions %v", transitions)
	}
	for i, expected := range []struct {
		time       string
		generation int64
	}{{"2020-01-01T00:00:00Z", 2}, {"2026-01-01T00:00:00Z", 3}, {"2026-01-01T00:00:00Z", 3}} {
		c := conditionsOf(want)[i]
		if c["lastTransitionTime"] != expected.time || c["observedGeneration"] != expected.generation {
			t.Errorf("%s: %v at generation %v, want %v", c["type"], c["lastTransitionTime"], c["observedGeneration"], expected)
		}
	}
}
