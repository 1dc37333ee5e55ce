// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	specs := func(required, optional spec) report {
		return report{Groups: []group{{Name: "Required", Tests: []spec{required}}, {Name: "Optional", Tests: []spec{optional}}}}
	}
	pass, fail := spec{Desc: "a", Passed: true}, spec{Desc: "a", Message: " - broken"}
	other := spec{Desc: "b"}
	listed := map[string]string{"b": "because"}
	for name, tc := range map[string]struct {
		report report
		want   string // part of the error; empty = none
	}{
		"only what is known fails":    {specs(pass, other), ""},
		"a required one fails":        {specs(fail, other), "required: a - broken"},
		"a required one is listed":    {specs(other, pass), "required: b"},
		"an optional one fails":       {specs(pass, spec{Desc: "c"}), "optional: c"},
		"what is known fails no more": {specs(pass, spec{Desc: "b", Passed: true}), "passes"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.report.verdict(listed)
			if (tc.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("verdict %v, want %q", err, tc.want)
			}
		})
	}
}

// TestCommittedReport holds the report in docs/ to what is known to fail.
func TestCommittedReport(t *testing.T) {
	raw, err := os.ReadFile("../../docs/conformance-report.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verdict(known()); err != nil {
		t.Error(err)
	}
	if r.Total-r.Passed != len(known()) {
		t.Errorf("%d of %d pass, and %d are known to fail", r.Passed, r.Total, len(known()))
	}
}

func TestTrim(t *testing.T) {
	raw := "tests:\n    - desc: a\n      passed: false\n      failed: true\n      skipped: false\n      message: \"\"\ntotal: 1\n"
	want := "tests:\n    - desc: a\n      passed: false\n      failed: true\ntotal: 1\n"
	if got := trim(raw); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestReportsThatSayNothing(t *testing.T) {
	for _, raw := range []string{"groups: [", "groups: []\ntotal: 0\n", "suitefailure: no such context\n"} {
		if _, err := parse([]byte(raw)); err == nil {
			t.Errorf("%q is taken", raw)
		}
	}
}
