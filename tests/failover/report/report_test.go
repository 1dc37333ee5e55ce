// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
)

// A case as the runner writes it: the first tunnel breaks at 5 s, the plain way loses a second of requests.
func blackhole() result.Report {
	p := result.Played{Name: "blackhole", Title: "The tunnel swallows every packet", Broke: 5 * time.Second, Healed: 20 * time.Second, End: 30 * time.Second}
	for _, protocol := range result.Protocols() {
		business, other := result.Way{Tunnel: "business", Cluster: "cluster-2"}, result.Way{Tunnel: "default", Cluster: "cluster-2"}
		ours := result.Cell{
			Protocol: protocol, Before: business, During: other, After: business,
			Settled: 65 * time.Millisecond, Moved: 800 * time.Millisecond, Back: 200 * time.Millisecond,
		}
		plain := ours
		for at := time.Duration(0); at < p.End; at += 20 * time.Millisecond {
			r := result.Request{Sent: at, Took: 45 * time.Millisecond, Cluster: "cluster-2", Tunnel: "business"}
			if at > p.Broke && at < p.Healed {
				r.Took, r.Tunnel = 65*time.Millisecond, "default"
			}
			ours.Requests = append(ours.Requests, r)
			if at > p.Broke && at < p.Broke+time.Second {
				r.Err, r.Took = "status 503: upstream connect error", 10*time.Second
				plain.Failed++
			}
			plain.Requests = append(plain.Requests, r)
		}
		ours.Sent, plain.Sent, ours.Slowest, plain.Slowest = len(ours.Requests), len(plain.Requests), 65*time.Millisecond, 65*time.Millisecond
		p.Ours, p.Plain = append(p.Ours, ours), append(p.Plain, plain)
	}
	plain := result.Run{
		Name: "plain", Title: "Beside the plain way", When: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC), GETRate: 50, Rate: 10, Untimed: true,
		Setup: "Everything is set.", Load: [2]string{"0.1", "1.2"}, Cases: []result.Played{p},
	}
	timed := plain
	timed.Name, timed.Title, timed.Untimed = "long", "For minutes", false
	return result.Report{Clusters: 3, Gateways: 2, CPUs: 2, Runs: []result.Run{timed, plain}}
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	text, err := json.Marshal(blackhole())
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "results.json")
	if err := os.WriteFile(in, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "failover-report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nEverything is set.\n",
		"2026-03-04 05:06 UTC, each second: 50 get, 10 h2, 10 put, 10 post, 10 grpc, 10 tcp, and as many the plain way;",
		"| [blackhole](#plain-blackhole) | 0 of 1500, 65 ms (45 ms) |",
		"### plain-blackhole",
		"| get | 1500 | 0 | 45 ms | 65 ms | 65 ms | 0.8 s | 0.2 s | business cluster-2 | default cluster-2 | business cluster-2 | 49 of 1500 | 65 ms |",
		"| [blackhole](#long-blackhole) | none fails, slowest 1s, later 250ms | held | held | held |",
		"| [blackhole](#plain-blackhole) | none fails | held | held | held |",
		"(images/failover/plain-blackhole.png)",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "images/failover/plain-blackhole.png")); err != nil || info.Size() < 1000 {
		t.Errorf("no picture: %v", err)
	}
}
