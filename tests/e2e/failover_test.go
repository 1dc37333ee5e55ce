// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover"
	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

// bar is what a case may cost. It is asserted of GETs, whose repetition harms nobody; what others may cost is in
// docs/failover.md, and docs/failover-report.md says what they did.
type bar struct {
	name string
	// slowest GET over all; settled the slowest from 10 s after it broke until it heals, 0 for any.
	slowest, settled time.Duration
	// during is the tunnel on which GETs are when it has been broken for a while, "" for any.
	during string
	// elsewhere says that another cluster serves meanwhile.
	elsewhere bool
}

// bars are the cases of the matrix that are played here: those that move traffic in different ways; `make failover-report`
// plays the rest.
func bars() []bar {
	return []bar{
		{name: "refused", slowest: 250 * time.Millisecond, settled: 250 * time.Millisecond, during: "default"},
		{name: "blackhole", slowest: time.Second, settled: 250 * time.Millisecond, during: "default"},
		{name: "latency", during: "default"},
		{name: "cluster-gone", slowest: 3 * time.Second, elsewhere: true},
		{name: "drained", slowest: time.Second, elsewhere: true},
		{name: "unexport", slowest: time.Second, elsewhere: true},
	}
}

// TestFailover plays a part of the failure matrix for a short time.
func TestFailover(t *testing.T) {
	bench := failoverBench(t)
	timing := failover.Timing{Calm: 4 * time.Second, Broken: 20 * time.Second, After: 6 * time.Second, Rate: 5, GETRate: 100}
	for _, b := range bars() {
		t.Run(b.name, func(t *testing.T) {
			c := failover.CaseNamed(b.name)
			if c.Clusters > len(bench.Exporters) {
				t.Skip("needs three clusters")
			}
			played, err := bench.Play(t.Context(), c, timing, result.Protocols(), "")
			if err != nil {
				t.Fatal(err)
			}
			t.Log(result.Line(played))
			b.hold(t, bench, played)
		})
	}
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

// hold asserts the bar.
func (b bar) hold(t *testing.T, bench *failover.Bench, played *result.Played) {
	t.Helper()
	get := played.Cell(result.GET)
	if get.Failed > 0 {
		t.Errorf("%d of %d GETs failed: %v", get.Failed, get.Sent, get.Errors)
	}
	if b.slowest > 0 && get.Slowest > b.slowest {
		t.Errorf("the slowest GET took %s, want %s at most", get.Slowest, b.slowest)
	}
	if settled := get.SlowestBetween(played.Broke+10*time.Second, played.Healed); b.settled > 0 && settled > b.settled {
		t.Errorf("after 10 s a GET took %s, want %s at most", settled, b.settled)
	}
	for _, c := range played.Ours {
		if b.during != "" && c.During.Tunnel != b.during {
			t.Errorf("%s is on %s while it is broken, want %s", c.Protocol, c.During.Tunnel, b.during)
		}
		if b.elsewhere && c.During.Cluster == bench.Exporters[0].Name {
			t.Errorf("%s is still answered by %s", c.Protocol, c.During.Cluster)
		}
	}
}

// cleanup is a context for what is to be undone after the test's own has ended.
func cleanup(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
