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
	// Slowest bounds all requests, Settled those sent from ten seconds after the way broke until it heals.
	Slowest, Settled time.Duration
	// Leaves asks that traffic has left the ways that break in the last third of the time that they are broken. Moved bounds
	// the time until it has, and so asks for it too, Back the time from when they began to heal until it is there again. A
	// case that is broken for a shorter time than Moved is not held to it.
	Leaves      bool
	Moved, Back time.Duration
	// Returns bounds how often traffic comes back to the ways that break before they heal.
	Returns int
	// Why is the reason for a bound that is not what it is elsewhere, in Markdown.
	Why string
}

// Bounds tells whether the bar bounds a time.
func (b Bar) Bounds() bool { return b.Slowest > 0 || b.Settled > 0 || b.Moved > 0 }

// Untimed is the bar without its times, which depend on what else a machine does.
func (b Bar) Untimed() Bar {
	return Bar{Case: b.Case, All: b.All, Leaves: b.Leaves}
}

// Holds tells whether the bar is for a protocol.
func (b Bar) Holds(p Protocol) bool { return b.All || slices.Contains(Repeatable(), p) }

// Bars are those of the cases in which none of the requests that may be repeated may fail: another tunnel or another cluster
// works throughout.
func Bars() []Bar {
	const brownout, lost = 10 * time.Second, 3 * time.Second
	return []Bar{
		{Case: "refused", Slowest: 250 * time.Millisecond, Settled: 250 * time.Millisecond},
		{Case: "blackhole", Slowest: time.Second, Settled: 250 * time.Millisecond},
		{Case: "cluster-gone", Slowest: lost},
		{Case: "latency", Moved: brownout, Back: 20 * time.Second},
		{Case: "jitter", Moved: brownout, Back: 25 * time.Second},
		{Case: "loss-30", Moved: brownout, Back: 45 * time.Second},
		{
			Case: "loss-5", Moved: 40 * time.Second, Back: 45 * time.Second,
			Why: "40 s to move instead of 10, because [a few lost handshakes are chance](tunnels.md#loss). 5 % each way are a tenth " +
				"of the handshakes, which are found within 21 s on nine of ten hops; here the slowest of all hops counts.",
		},
		{Case: "loss-2"},
		{Case: "drained", Slowest: time.Second, All: true, Leaves: true},
		{Case: "unexport", Slowest: time.Second, All: true, Leaves: true},
		{Case: "oscillating", Returns: 1},
		{Case: "isolated"},
		{Case: "gateway-gone"},
		{Case: "backends-gone"},
		{Case: "flapping"},
		{Case: "one-way"},
		{Case: "rate"},
		{Case: "api-gone", All: true},
		{Case: "controller-gone"},
		{Case: "partitioned"},
		{Case: "probe-broken"},
		{Case: "upgrade"},
		{Case: "rotation", All: true},
		{Case: "roll", All: true},
		{Case: "leave", All: true, Leaves: true},
		{Case: "order"},
		{Case: "port", All: true},
	}
}

// Breaches says how a cell of a case does not keep the bar; nothing if it does, or if the bar says nothing of its protocol.
func (b Bar) Breaches(p *Played, c *Cell) []string {
	if !b.Holds(c.Protocol) {
		return nil
	}
	return append(append(b.failures(c), b.moves(p, c)...), b.times(c)...)
}

func (b Bar) failures(c *Cell) []string {
	if c.Failed == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d failed", c.Failed, c.Sent)}
}

func (b Bar) moves(p *Played, c *Cell) []string {
	var out []string
	inTime := p.Healing-p.Cut >= b.Moved
	switch {
	case (b.Leaves || b.Moved > 0) && inTime && !c.Left:
		out = append(out, "traffic stayed")
	case b.Back > 0 && c.Left && c.Back == 0:
		out = append(out, "traffic did not come back")
	}
	if b.Returns > 0 && c.Returns > b.Returns {
		out = append(out, fmt.Sprintf("traffic came back %d times, want %d at most", c.Returns, b.Returns))
	}
	return out
}

func (b Bar) times(c *Cell) []string {
	var out []string
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
	return out
}

// String is the bar in a table.
func (b Bar) String() string {
	out := []string{"none fails"}
	if b.Leaves {
		out = append(out, "traffic leaves")
	}
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
