// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
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
	played := &result.Played{Broke: 1500 * time.Millisecond, Healed: 5 * time.Second, End: 9 * time.Second}
	c := result.CellOf(result.GET, requests, played)
	if c.Sent != 8 || c.Failed != 1 || c.Slowest != 900*time.Millisecond || c.Errors[`Get "http://x": timeout`] != 1 {
		t.Errorf("cell %+v", c)
	}
	if (c.Before != result.Way{Tunnel: "business", Cluster: "cluster-2"}) || (c.During != result.Way{Tunnel: "none", Cluster: "none"}) || (c.After != result.Way{Tunnel: "business", Cluster: "cluster-3"}) {
		t.Errorf("before %v, during %v, after %v", c.Before, c.During, c.After)
	}
	if c.Moved != 0 || c.Back != time.Second {
		t.Errorf("moved after %s, back after %s", c.Moved, c.Back)
	}
	if got := c.SlowestBetween(3*time.Second, 5*time.Second); got != 30*time.Millisecond {
		t.Errorf("slowest of a part: %s", got)
	}
}

// A tunnel that traffic leaves, comes back to, and leaves again: what its bar bounds.
func TestBars(t *testing.T) {
	played := &result.Played{Broke: 2 * time.Second, Healed: 12 * time.Second, End: 20 * time.Second}
	var requests []result.Request
	for at := range 20 {
		tunnel := "business"
		if (at >= 4 && at < 6) || (at >= 7 && at < 15) {
			tunnel = "default"
		}
		requests = append(requests, result.Request{Sent: time.Duration(at) * time.Second, Took: 10 * time.Millisecond, Cluster: "cluster-2", Tunnel: tunnel})
	}
	c := result.CellOf(result.GET, requests, played)
	if c.Returns != 1 || c.Moved != 4*time.Second || c.Back != 3*time.Second {
		t.Fatalf("returns %d, moved %s, back %s", c.Returns, c.Moved, c.Back)
	}
	for _, tc := range []struct {
		bar  result.Bar
		want int
	}{
		{result.Bar{Moved: 5 * time.Second, Back: 3 * time.Second, Returns: 1}, 0},
		{result.Bar{Moved: 3 * time.Second}, 1},
		{result.Bar{Back: 2 * time.Second}, 1},
		{result.Bar{Moved: 3 * time.Second, Back: 2 * time.Second}.Untimed(), 0},
	} {
		if got := tc.bar.Breaches(played, &c); len(got) != tc.want {
			t.Errorf("%+v: %v", tc.bar, got)
		}
	}
	c.Returns, c.Back = 2, 0
	if got := (result.Bar{Returns: 1, Back: time.Second}).Breaches(played, &c); len(got) != 2 {
		t.Errorf("two returns, and none after it healed: %v", got)
	}
	if !(result.Bar{}).Holds(result.PUT) || (result.Bar{}).Holds(result.POST) || !(result.Bar{All: true}).Holds(result.POST) {
		t.Error("who is held")
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
