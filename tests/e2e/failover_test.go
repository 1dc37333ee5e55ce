// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover"
	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

// move is where a case sends traffic. What it may cost is in result.Bars, for every protocol; docs/failover-report.md says
// what it did cost.
type move struct {
	name string
	// during is the tunnel on which requests are when it has been broken for a while, "" for any.
	during string
	// elsewhere says that the first exporter serves none meanwhile.
	elsewhere bool
}

// mostly is the share of requests on the tunnel where they are to be. Those of a cluster that did not move would be half of
// them; TCP's tunnel is known to half a second only.
const mostly = 0.8

// moves are the cases of the matrix that are played here, those that move traffic in different ways; `make
// failover-report` plays the rest.
func moves() []move {
	return []move{
		{name: "refused", during: "default"},
		{name: "blackhole", during: "default"},
		{name: "latency", during: "default"},
		{name: "cluster-gone", elsewhere: true},
		{name: "drained", elsewhere: true},
		{name: "drained-tunnel", during: "default"},
		{name: "unexport", elsewhere: true},
		{name: "probe-broken", during: "default"},
	}
}

// everyProtocol is traffic of every protocol, for a short time.
func everyProtocol() failover.Traffic {
	return failover.Traffic{
		Timing:    failover.Timing{Calm: 4 * time.Second, Broken: 20 * time.Second, After: 6 * time.Second, Rate: 5, GETRate: 100},
		Protocols: result.Protocols(),
	}
}

// TestFailover plays a part of the failure matrix on a machine that has nothing else to do.
func TestFailover(t *testing.T) {
	bench, idle := failoverBench(t), everyProtocol()
	idle.Idle = true
	for _, m := range moves() {
		m.play(t, bench, idle, result.Bars())
	}
}

// TestFailures plays a few cases of it on any machine: what fails and where traffic goes is asserted, how long requests take
// and when traffic moves are not.
func TestFailures(t *testing.T) {
	bench := failoverBench(t)
	var untimed []result.Bar
	for _, b := range result.Bars() {
		untimed = append(untimed, b.Untimed())
	}
	for _, m := range moves() {
		if slices.Contains([]string{"refused", "unexport", "probe-broken"}, m.name) {
			m.play(t, bench, everyProtocol(), untimed)
		}
	}
}

func (m move) play(t *testing.T, bench *failover.Bench, traffic failover.Traffic, bars []result.Bar) {
	t.Run(m.name, func(t *testing.T) {
		c := failover.CaseNamed(m.name)
		if c.Clusters > len(bench.Exporters) {
			t.Skip("needs three clusters")
		}
		played, err := bench.Play(t.Context(), c, traffic)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(result.Line(played))
		m.hold(t, bench, played, bars)
	})
}

// failoverBench is the bench with what its cases need, which goes when the test ends.
func failoverBench(t *testing.T) *failover.Bench {
	t.Helper()
	sandbox := strings.Fields(os.Getenv("MCWAN_SANDBOX"))
	if len(sandbox) == 0 {
		t.Skip("needs the sandbox's SD-WAN: MCWAN_SANDBOX is not set")
	}
	bench, err := failover.Connect(&story.WAN{Command: sandbox}, sandboxKubeconfig(t, sandbox), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bench.Down(cleanup(t)); err != nil {
			t.Error(err)
		}
	})
	if err := bench.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bench
}

// hold asserts the bar, and where traffic went.
func (m move) hold(t *testing.T, bench *failover.Bench, played *result.Played, bars []result.Bar) {
	t.Helper()
	for _, b := range bars {
		if b.Case != m.name {
			continue
		}
		for _, c := range played.Ours {
			for _, breach := range b.Breaches(played, &c) {
				t.Errorf("%s: %s %v", c.Protocol, breach, c.Errors)
			}
		}
	}
	for _, c := range played.Ours {
		if m.during != "" && c.During.Tunnel(m.during) < mostly {
			t.Errorf("%s is not on %s while it is broken: %s", c.Protocol, m.during, c.During)
		}
		if m.elsewhere && c.During.Cluster(bench.Exporters[0].Name) > result.Few {
			t.Errorf("%s is still answered by %s: %s", c.Protocol, bench.Exporters[0].Name, c.During)
		}
	}
}

// cleanup is a context for what is to be undone after the test's own has ended: gateways and controllers are
// replaced.
func cleanup(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
