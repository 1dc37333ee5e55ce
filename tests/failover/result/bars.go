// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bar is what a case may cost: none of the requests that it holds may fail, and 0 bounds nothing.
type Bar struct {
	Case string
	// All holds every protocol, in place of those that may be repeated (Repeatable): nothing breaks on the way.
	All bool
	// Slowest bounds all requests, Settled those sent from ten seconds after it broke until it heals.
	Slowest, Settled time.Duration
	// Moved bounds the time until traffic has left its tunnel, which it must do then, Back the time from when it healed until
	// it is there again. A case that is broken for a shorter time than Moved is not held to it.
	Moved, Back time.Duration
	// Returns bounds how often traffic comes back to its tunnel before it heals.
	Returns int
}

// Bounds tells whether the bar bounds a time.
func (b Bar) Bounds() bool { return b.Slowest > 0 || b.Settled > 0 || b.Moved > 0 }

// Untimed is the bar without its times, which depend on what else a machine does.
func (b Bar) Untimed() Bar { return Bar{Case: b.Case, All: b.All} }

// Holds tells whether the bar is for a protocol.
func (b Bar) Holds(p Protocol) bool { return b.All || slices.Contains(Repeatable(), p) }

// Bars are those of the cases in which none of them may fail: another tunnel or another cluster works throughout.
func Bars() []Bar {
	const brownout, lost = 10 * time.Second, 3 * time.Second
	return []Bar{
		{Case: "refused", Slowest: 250 * time.Millisecond, Settled: 250 * time.Millisecond},
		{Case: "blackhole", Slowest: time.Second, Settled: 250 * time.Millisecond},
		{Case: "cluster-gone", Slowest: lost},
		{Case: "latency", Moved: brownout, Back: 20 * time.Second},
		{Case: "jitter", Moved: brownout, Back: 25 * time.Second},
		{Case: "loss-30", Moved: brownout, Back: 45 * time.Second},
		// Nine of ten such hops are found within 21 s (docs/tunnels.md), and both have to be.
		{Case: "loss-5", Moved: 40 * time.Second, Back: 45 * time.Second},
		{Case: "drained", Slowest: time.Second, All: true},
		{Case: "unexport", Slowest: time.Second, All: true},
		{Case: "oscillating", Returns: 1},
		{Case: "isolated"},
		{Case: "gateway-gone"},
		{Case: "loss-2"},
		{Case: "flapping"},
		{Case: "one-way"},
		{Case: "rate"},
		{Case: "api-gone", All: true},
		{Case: "backends-gone"},
		{Case: "controller-gone"},
		{Case: "partitioned"},
		{Case: "probe-broken"},
		{Case: "upgrade"},
		{Case: "rotation", All: true},
		{Case: "roll", All: true},
		{Case: "leave", All: true},
		{Case: "order"},
		{Case: "port", All: true},
	}
}

// Breaches says how a cell of a case does not keep the bar; nothing if it does.
func (b Bar) Breaches(p *Played, c *Cell) []string {
	var out []string
	if c.Failed > 0 {
		out = append(out, fmt.Sprintf("%d of %d failed", c.Failed, c.Sent))
	}
	moved := c.During.Tunnel != c.Before.Tunnel
	inTime := p.Healed-p.Broke >= b.Moved
	switch {
	case b.Moved > 0 && inTime && !moved:
		out = append(out, "traffic stayed on its tunnel")
	case b.Back > 0 && moved && c.Back == 0:
		out = append(out, "traffic did not come back")
	}
	for _, f := range []struct {
		what     string
		is, most time.Duration
	}{
		{"the slowest took", c.Slowest, b.Slowest}, {"after 10 s one took", c.Settled, b.Settled},
		{"traffic moved after", c.Moved, b.Moved}, {"traffic was back after", c.Back, b.Back},
	} {
		if f.most > 0 && f.is > f.most {
			out = append(out, fmt.Sprintf("%s %s, want %s at most", f.what, f.is.Round(time.Millisecond), f.most))
		}
	}
	if b.Returns > 0 && c.Returns > b.Returns {
		out = append(out, fmt.Sprintf("traffic came back %d times, want %d at most", c.Returns, b.Returns))
	}
	return out
}

// String is the bar in a table.
func (b Bar) String() string {
	out := []string{"none fails"}
	for _, f := range []struct {
		text string
		most time.Duration
	}{
		{"slowest %s", b.Slowest}, {"later %s", b.Settled}, {"moved within %s", b.Moved}, {"back within %s", b.Back},
	} {
		if f.most > 0 {
			out = append(out, fmt.Sprintf(f.text, f.most))
		}
	}
	if b.Returns > 0 {
		out = append(out, fmt.Sprintf("comes back %d time at most", b.Returns))
	}
	return strings.Join(out, ", ")
}
