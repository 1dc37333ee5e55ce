// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

func TestCellSumsUp(t *testing.T) {
	start := time.UnixMicro(1_000_000)
	requests, err := parse(strings.Join([]string{"8",
		"1000000,20000,cluster-2,31131,", "2000000,21000,cluster-2,31131,",
		"3000000,900000,cluster-2,31132,", "4000000,30000,cluster-2,31132,", "5900000,10000000,,,\"Get \"\"http://x\"\": timeout\"",
		"7000000,22000,cluster-3,31131,", "9000000,23000,cluster-3,31131,", "9500000,23000,cluster-3,31110,", "",
	}, "\n"), start)
	if err != nil {
		t.Fatal(err)
	}
	played := &result.Played{
		Ways:  []result.Way{{Tunnel: "business"}},
		Broke: 1500 * time.Millisecond, Cut: 1500 * time.Millisecond, Healing: 5 * time.Second, Healed: 5 * time.Second, End: 9 * time.Second,
	}
	c := result.CellOf(result.GET, requests, played)
	if c.Sent != 8 || c.Failed != 1 || c.Slowest != 900*time.Millisecond || c.Errors[`Get "http://x": timeout`] != 1 {
		t.Errorf("cell %+v", c)
	}
	if c.Before.String() != "business; cluster-2 100 %" || c.During.String() != "no answers" || c.After.String() != "business 50 %, internet 50 %; cluster-3 100 %" {
		t.Errorf("before %v, during %v, after %v", c.Before, c.During, c.After)
	}
	if !c.Left || c.Moved != 0 || c.Back != time.Second {
		t.Errorf("left %t, moved after %s, back after %s", c.Left, c.Moved, c.Back)
	}
	if got := c.SlowestBetween(3*time.Second, 5*time.Second); got != 30*time.Millisecond {
		t.Errorf("slowest of a part: %s", got)
	}
}

func TestReportsThatAreNone(t *testing.T) {
	for _, text := range []string{"1\nx,1,,,\n", "1\n1,y,,,\n"} {
		if _, err := parse(text, time.Now()); err == nil || errors.Is(err, errCut) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "1,2,3,4,5", "2\n1,2,3,4,5\n", "1\n1,2,3\n", "2\n1,2,3,4,5\n1,2,3\n", "1\n1,2,c,31131,"} {
		if _, err := parse(text, time.Now()); !errors.Is(err, errCut) {
			t.Errorf("%q: %v, want it to be told as cut off", text, err)
		}
	}
}

func TestCasesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if seen[c.Name] || c.Name == "" || c.Title == "" || c.Break == nil || c.Heal == nil {
			t.Errorf("case %+v", c)
		}
		seen[c.Name] = true
	}
}

// Every case has a bar, and every bar a case.
func TestCasesHaveBars(t *testing.T) {
	var cases, bars []string
	for _, c := range Cases() {
		cases = append(cases, c.Name)
	}
	for _, b := range result.Bars() {
		bars = append(bars, b.Case)
	}
	slices.Sort(cases)
	slices.Sort(bars)
	if !slices.Equal(cases, bars) {
		t.Errorf("cases %v\nbars  %v", cases, bars)
	}
}

// Where traffic is asked to leave, it is said what.
func TestWaysToLeave(t *testing.T) {
	b := &Bench{Exporters: []*story.Cluster{{Name: "cluster-2"}, {Name: "cluster-3"}}}
	for _, bar := range result.Bars() {
		asks := bar.Leaves || bar.Moved > 0 || bar.Back > 0 || bar.Returns > 0 || bar.Stays > 0 || bar.CutOff > 0
		if c := CaseNamed(bar.Case); asks && (c.Ways == nil || len(c.Ways(b)) == 0) {
			t.Errorf("case %s has no ways that break", c.Name)
		}
	}
}

func TestRunsPlayCasesThatExist(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Runs() {
		if seen[r.Name] || r.Title == "" || r.Broken == 0 || r.GETRate == 0 || r.Rate == 0 {
			t.Errorf("run %+v", r)
		}
		seen[r.Name] = true
		for _, name := range r.Cases {
			CaseNamed(name)
		}
	}
}

func TestCertificatesTTL(t *testing.T) {
	const config = "proxyMetadata:\n  EXIT: \"true\"\n"
	with := withTTL(config, "60s")
	if with != "proxyMetadata:\n  SECRET_TTL: 60s\n  EXIT: \"true\"\n" || withTTL(with, "") != config || withTTL(with, "60s") != with {
		t.Errorf("%q", with)
	}
}

// TestDocumentedCases: docs/testing.md lists the matrix.
func TestDocumentedCases(t *testing.T) {
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Cases() {
		if !strings.Contains(string(page), "`"+c.Name+"`") {
			t.Errorf("docs/testing.md does not list the case %s", c.Name)
		}
	}
}
