// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
)

// envoySays is what there is to say of a failure, whose end is what tells.
const envoySays = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection termination"

// A case as the runner writes it: the first tunnel breaks at 5 s, the plain way loses a second of requests.
func blackhole() result.Report {
	p := result.Played{
		Name: "blackhole", Title: "The tunnel swallows every packet", Ways: []result.Way{{Tunnel: "business"}},
		Broke: 5 * time.Second, Cut: 5 * time.Second, Healing: 20 * time.Second, Healed: 20 * time.Second, End: 30 * time.Second,
	}
	for _, protocol := range result.Protocols() {
		var ours, plain []result.Request
		for at := time.Duration(0); at < p.End; at += 20 * time.Millisecond {
			r := result.Request{Sent: at, Took: 45 * time.Millisecond, Cluster: "cluster-2", Tunnel: "business"}
			if at > p.Broke+800*time.Millisecond && at < p.Healed+200*time.Millisecond {
				r.Took, r.Tunnel = 65*time.Millisecond, "default"
			}
			if at%(40*time.Millisecond) == 0 {
				r.Cluster = "cluster-3"
			}
			cut := r
			cut.Err, cut.Took = "status 503: "+envoySays, 10*time.Second
			switch {
			case at == p.Broke+100*time.Millisecond && protocol == result.POST, at == p.Broke+4*time.Second && protocol == result.GRPC:
				ours = append(ours, cut)
			default:
				ours = append(ours, r)
			}
			if at > p.Broke && at < p.Broke+time.Second {
				r = cut
			}
			plain = append(plain, r)
		}
		p.Ours, p.Plain = append(p.Ours, result.CellOf(protocol, ours, &p)), append(p.Plain, result.CellOf(protocol, plain, &p))
	}
	plain := result.Run{
		Name: "plain", Title: "Beside the plain way", When: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC), GETRate: 50, Rate: 10, Untimed: true,
		Setup: "Everything is set.", Load: [2]string{"0.1", "1.2"}, Cases: []result.Played{p},
	}
	timed := plain
	timed.Name, timed.Title, timed.Untimed = "long", "For minutes", false
	return result.Report{Clusters: 3, Gateways: 2, CPUs: 2, Congestion: "cubic", Runs: []result.Run{timed, plain}}
}

// A deviation is named below the bars, where it is held to.
func TestReasonsOfBars(t *testing.T) {
	loss := result.Played{Name: "loss-5"}
	bar := slices.IndexFunc(result.Bars(), func(b result.Bar) bool { return b.Case == loss.Name })
	reason := "\n[loss-5](#bars-loss-5): " + result.Bars()[bar].Why
	loss.Ours = []result.Cell{result.CellOf(result.GET, nil, &loss)}
	for untimed, want := range map[bool]int{false: 1, true: 0} {
		var out bytes.Buffer
		bars(&out, result.Run{Name: "bars", Untimed: untimed, Cases: []result.Played{loss}})
		if got := strings.Count(out.String(), reason); got != want {
			t.Errorf("untimed %t:\n%s", untimed, out.String())
		}
	}
}

func TestSecondOfTwo(t *testing.T) {
	var out bytes.Buffer
	section(&out, result.Run{Name: "plain"}, result.Played{Name: "upgrade", Title: "It is replaced", Broke: 4 * time.Second, Cut: 18 * time.Second, Healed: 94 * time.Second})
	if want := "It is replaced, from 4s to 1m34s, the tunnel from 18s.\n"; !strings.Contains(out.String(), want) {
		t.Errorf("it lacks %q:\n%s", want, out.String())
	}
}

func TestLongErrorsKeepTheirEnd(t *testing.T) {
	got := commonErrors(map[string]int{"begin" + strings.Repeat("`", 300) + " reset by peer": 2})
	if !strings.HasPrefix(got, "2 x `begin'") || !strings.HasSuffix(got, "' reset by peer`") || len(got) > 220 {
		t.Errorf("%s", got)
	}
}

func TestShownTunnels(t *testing.T) {
	for tunnel, want := range map[string]string{"business": "business", "internet": "another", "": "unknown", result.NoTunnel: "none"} {
		if got := tunnelOf(result.Request{Tunnel: tunnel}).name; got != want {
			t.Errorf("tunnel %q is shown as %s, want %s", tunnel, got, want)
		}
	}
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
		" and 0 other imports on 2 cores; congestion control: cubic. ",
		"\nEverything is set.\n",
		"2026-03-04 05:06 UTC, each second: 50 get, 10 h2, 10 put, 10 post, 10 grpc, 10 tcp, and as many the plain way;",
		"| [blackhole](#plain-blackhole) | 0 of 1500, 65 ms (45 ms) |",
		"### plain-blackhole",
		"| get | 1500 | 0 | 45 ms | 65 ms | 65 ms | 0.8 s | 0.2 s | business; cluster-2 50 %, cluster-3 50 % | default; cluster-2 50 %, cluster-3 50 % | business; cluster-2 50 %, cluster-3 50 % | 49 of 1500 | 65 ms |",
		"| [blackhole](#long-blackhole) | none fails (of post, grpc, tcp: none sent later than 3s after it broke), slowest 1s, later 250ms | held | held | held | held | 1 failed that the break did not cut off, the last sent 4.0 s after it | held |",
		"| [blackhole](#plain-blackhole) | none fails (of post, grpc, tcp: none sent later than 3s after it broke) | held | held | held | held | 1 failed",
		"post failed with: 1 x `status 503: " + envoySays + "`.",
		"The tunnel swallows every packet, from 5s to 20s.",
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
