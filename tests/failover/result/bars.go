// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"strings"
	"time"
)

// Bar is what a case may cost the requests that may be repeated (Repeatable): none may fail, and 0 bounds nothing.
type Bar struct {
	Case string
	// Slowest bounds all requests, Settled those sent from ten seconds after it broke until it heals.
	Slowest, Settled time.Duration
	// Moved bounds the time until traffic has left its tunnel, which it must do then.
	Moved time.Duration
}

// Bounds tells whether the bar bounds a time.
func (b Bar) Bounds() bool { return b.Slowest > 0 || b.Settled > 0 || b.Moved > 0 }

// Bars are those of the cases in which none of them may fail: another tunnel or another cluster works throughout.
func Bars() []Bar {
	const brownout = 10 * time.Second
	return []Bar{
		{Case: "refused", Slowest: 250 * time.Millisecond, Settled: 250 * time.Millisecond},
		{Case: "blackhole", Slowest: time.Second, Settled: 250 * time.Millisecond},
		{Case: "cluster-gone", Slowest: 3 * time.Second},
		{Case: "latency", Moved: brownout},
		{Case: "jitter", Moved: brownout},
		{Case: "loss-30", Moved: brownout},
		{Case: "drained", Slowest: time.Second},
		{Case: "unexport", Slowest: time.Second},
		{Case: "loss-2"}, {Case: "loss-5"}, {Case: "flapping"}, {Case: "one-way"}, {Case: "rate"},
		{Case: "isolated"}, {Case: "api-gone"}, {Case: "gateway-gone"}, {Case: "backends-gone"},
		{Case: "controller-gone"}, {Case: "partitioned"}, {Case: "upgrade"}, {Case: "rotation"}, {Case: "roll"},
		{Case: "leave"}, {Case: "order"}, {Case: "port"},
	}
}

// Breaches says how a cell does not keep the bar; nothing if it does.
func (b Bar) Breaches(c *Cell) []string {
	var out []string
	if c.Failed > 0 {
		out = append(out, fmt.Sprintf("%d of %d failed", c.Failed, c.Sent))
	}
	if b.Moved > 0 && c.During.Tunnel == c.Before.Tunnel {
		out = append(out, "traffic stayed on its tunnel")
	}
	for _, f := range []struct {
		what     string
		is, most time.Duration
	}{
		{"the slowest took", c.Slowest, b.Slowest}, {"after 10 s one took", c.Settled, b.Settled}, {"traffic moved after", c.Moved, b.Moved},
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
	if b.Slowest > 0 {
		out = append(out, fmt.Sprintf("slowest %s", b.Slowest))
	}
	if b.Settled > 0 {
		out = append(out, fmt.Sprintf("later %s", b.Settled))
	}
	if b.Moved > 0 {
		out = append(out, fmt.Sprintf("moved within %s", b.Moved))
	}
	return strings.Join(out, ", ")
}
