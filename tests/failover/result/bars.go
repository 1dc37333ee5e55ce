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
	// CutOff holds the other protocols, but those that are Spared: of them only requests may fail that were under way when the
	// way broke, and those that were sent into it until nobody used it any more, at most so long after.
	CutOff time.Duration
	Spared []Protocol
	// Slowest bounds all requests, Settled those sent from ten seconds after the way broke until it heals.
	Slowest, Settled time.Duration
	// Leaves asks that traffic has left the ways that break in the last third of the time that they are broken. Moved bounds
	// the time until it has, and so asks for it too, Back the time from when they began to heal until it is there again. A
	// case that is broken for a shorter time than Moved is not held to it.
	Leaves      bool
	Moved, Back time.Duration
	// Returns bounds how often traffic comes back to the ways that break before they heal, Stays the share of the requests
	// sent from a minute after they broke that still take them.
	Returns int
	Stays   float64
	// Why is the reason for a bound that is not what it is elsewhere, in Markdown.
	Why string
}

// Bounds tells whether the bar bounds a time.
func (b Bar) Bounds() bool { return b.Slowest > 0 || b.Settled > 0 || b.Moved > 0 }

// Untimed is the bar without its times, which depend on what else a machine does. What is cut off does not.
func (b Bar) Untimed() Bar {
	return Bar{Case: b.Case, All: b.All, CutOff: b.CutOff, Spared: b.Spared, Leaves: b.Leaves}
}

// holds tells whether the bar is for a protocol.
func (b Bar) holds(p Protocol) bool { return b.All || slices.Contains(Repeatable(), p) }

// cutsOff tells whether a protocol may fail by what the break cuts off, and by nothing else.
func (b Bar) cutsOff(p Protocol) bool {
	return b.CutOff > 0 && !b.holds(p) && !slices.Contains(b.Spared, p)
}

// Judges tells whether the bar says anything of a protocol.
func (b Bar) Judges(p Protocol) bool { return b.holds(p) || b.cutsOff(p) }

// Bars are those of the cases in which none of the requests that may be repeated may fail: another tunnel or another cluster
// works throughout.
func Bars() []Bar {
	const (
		brownout, lost = 10 * time.Second, 3 * time.Second
		// The last connection through a way that breaks has ended after 1.5 s, and a hop is out of the order after 2.3 s at most
		// (docs/failover.md).
		cut = 3 * time.Second
		// Pods that are deleted go on for some ten seconds, until they have been told to end and do.
		podsEnd = 15 * time.Second
	)
	return []Bar{
		{Case: "refused", Slowest: 250 * time.Millisecond, Settled: 250 * time.Millisecond, CutOff: cut},
		{Case: "blackhole", Slowest: time.Second, Settled: 250 * time.Millisecond, CutOff: cut},
		{Case: "cluster-gone", Slowest: lost, CutOff: cut},
		{Case: "latency", Moved: brownout, Back: 20 * time.Second},
		{Case: "jitter", Moved: brownout, Back: 25 * time.Second},
		{Case: "loss-30", Moved: brownout, Back: 45 * time.Second},
		{
			Case: "loss-5", Moved: 50 * time.Second, Back: 45 * time.Second,
			Why: "50 s to move instead of 10, because [a few lost handshakes are chance](tunnels.md#loss). 5 % each way are a tenth " +
				"of the handshakes, which are found within 27 s on nine of ten hops; here the slowest of all hops counts.",
		},
		{
			Case: "loss-2", Stays: 0.95,
			Why: "no time to move, because [a few lost handshakes are chance](tunnels.md#loss). 2 % each way are 4 % of the " +
				"handshakes, and it takes a minute or two until that is beyond chance on all hops. One that has left the order returns " +
				"when it happens to lose nothing for some 40 s, once in five minutes at most, so a part of the traffic comes back meanwhile. " +
				"Of 300 simulated plays half kept less than 38 % of the traffic there in the last two of three minutes, and 99 % less than 94 %.",
		},
		{Case: "drained", Slowest: time.Second, All: true, Leaves: true},
		{Case: "drained-tunnel", All: true, Leaves: true},
		{Case: "unexport", Slowest: time.Second, All: true, Leaves: true},
		{Case: "oscillating", Returns: 1},
		{Case: "isolated", CutOff: cut},
		{Case: "gateway-gone", CutOff: podsEnd},
		// New TCP connections that fall to it are closed until its feed says so (docs/failover.md).
		{Case: "backends-gone", CutOff: podsEnd, Spared: []Protocol{TCP}},
		{Case: "flapping"},
		{Case: "one-way", CutOff: cut},
		{Case: "rate"},
		{Case: "api-gone", All: true},
		{Case: "controller-gone", CutOff: cut},
		{Case: "partitioned", CutOff: cut},
		{Case: "probe-broken", CutOff: cut},
		{Case: "upgrade", CutOff: cut},
		{Case: "rotation", All: true},
		{Case: "roll", All: true},
		{Case: "leave", All: true, Leaves: true},
		{Case: "left", All: true, Leaves: true},
		{Case: "order", CutOff: cut},
		{Case: "port", All: true},
	}
}

// Breaches says how a cell of a case does not keep the bar; nothing if it does, or if the bar says nothing of its protocol.
func (b Bar) Breaches(p *Played, c *Cell) []string {
	switch {
	case b.holds(c.Protocol):
		return slices.Concat(elsewhere(p, c), b.failures(c), b.moves(p, c), b.times(c))
	case b.cutsOff(c.Protocol):
		return b.failuresBesides(p, c)
	}
	return nil
}

// elsewhere: what breaks where no request is shows nothing. Where several ways lead to exporters each has a share of them.
func elsewhere(p *Played, c *Cell) []string {
	if len(p.Ways) == 0 || c.tookShare(p, 0, p.Broke) > Few {
		return nil
	}
	return []string{"before it broke, requests did not take what breaks"}
}

func (b Bar) failures(c *Cell) []string {
	if c.Failed == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d failed", c.Failed, c.Sent)}
}

// failuresBesides are those of requests that the break did not cut off: that had ended before, or were sent too long after.
func (b Bar) failuresBesides(p *Played, c *Cell) []string {
	count, last := 0, time.Duration(0)
	for _, r := range c.Requests {
		if cutOff := r.Sent+r.Took >= p.Cut && r.Sent <= p.Cut+b.CutOff; r.Err != "" && !cutOff {
			count, last = count+1, r.Sent-p.Cut
		}
	}
	if count == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d failed that the break did not cut off, the last sent %.1f s after it", count, last.Seconds())}
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
	if b.Stays > 0 && p.Healing-p.Cut >= 2*stayTime && c.Stayed > b.Stays {
		out = append(out, fmt.Sprintf("%s of the traffic stayed, want %s at most", percent(c.Stayed), percent(b.Stays)))
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
	out := []string{"none fails" + b.cutOffText()}
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
	if b.Stays > 0 {
		out = append(out, fmt.Sprintf("after %s at most %s stay", stayTime, percent(b.Stays)))
	}
	return strings.Join(out, ", ")
}

// cutOffText is what is asked of those that are not repeated.
func (b Bar) cutOffText() string {
	var of []string
	for _, p := range Protocols() {
		if b.cutsOff(p) {
			of = append(of, string(p))
		}
	}
	if len(of) == 0 {
		return ""
	}
	return fmt.Sprintf(" (of %s: none sent later than %s after it broke)", strings.Join(of, ", "), b.CutOff)
}
