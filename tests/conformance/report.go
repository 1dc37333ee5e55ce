// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// report is what this program reads of the suite's report.yaml.
type report struct {
	Groups []group `json:"groups"`
	// SuiteFailure says why no spec was run; empty when they were.
	SuiteFailure string `json:"suitefailure"`
	Passed       int    `json:"passed"`
	Total        int    `json:"total"`
}

// group are the specs that are required, or those that are optional.
type group struct {
	Name  string `json:"name"`
	Tests []spec `json:"tests"`
}

type spec struct {
	Desc    string `json:"desc"`
	Passed  bool   `json:"passed"`
	Message string `json:"message"`
}

// known are the specs that do not pass, by their description, and why. All are optional.
func known() map[string]string {
	return map[string]string{
		"A DNS query of the <service>.<ns>.svc.clusterset.local domain for a headless service should return the ready endpoint addresses of all the backing pods": "" +
			"pods of other clusters cannot be reached by their own addresses; each endpoint has an address in the importing cluster",
		"A DNS SRV query of the <service>.<ns>.svc.clusterset.local domain for a headless service should return valid SRV records": "" +
			"on clusters of both families it wants a name for each address of a pod; here a pod is one endpoint, with one name that has both",
	}
}

func parse(raw []byte) (report, error) {
	r := report{}
	if err := yaml.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("the suite's report: %w", err)
	}
	if r.SuiteFailure != "" || r.Total == 0 {
		return r, fmt.Errorf("the suite ran no spec: %s", r.SuiteFailure)
	}
	return r, nil
}

// trim leaves out the lines that say that something is not so, but for whether a spec passes.
func trim(raw string) string {
	var out strings.Builder
	for line := range strings.Lines(raw) {
		_, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if (value == "false" || value == `""`) && !strings.Contains(line, "passed:") {
			continue
		}
		out.WriteString(line)
	}
	return out.String()
}

// verdict is an error unless the specs that do not pass are exactly the known ones: one that passes now is not to stay
// listed.
func (r report) verdict(known map[string]string) error {
	var wrong []string
	for _, g := range r.Groups {
		for _, s := range g.Tests {
			_, listed := known[s.Desc]
			switch {
			case s.Passed && listed:
				wrong = append(wrong, fmt.Sprintf("it passes, remove it from the known ones: %s", s.Desc))
			case !s.Passed && (!listed || g.Name == "Required"):
				wrong = append(wrong, fmt.Sprintf("%s: %s%s", strings.ToLower(g.Name), s.Desc, s.Message))
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.New(strings.Join(wrong, "\n"))
}
