// SPDX-License-Identifier: Apache-2.0

package result

import (
	"maps"
	"slices"
	"time"
)

// took tells whether a request took a way that breaks.
func (p *Played) took(r Request) bool {
	return slices.ContainsFunc(p.Ways, func(w Way) bool { return w.took(r) })
}

// lateBroken is when the last third of the time begins that the ways are broken.
func (p *Played) lateBroken() time.Duration { return p.Healing - (p.Healing-p.Cut)/3 }

// CellOf sums up what became of the requests of one protocol, given when the case broke, healed and ended.
func CellOf(p Protocol, requests []Request, played *Played) Cell {
	c := Cell{Protocol: p, Sent: len(requests), Requests: requests, Errors: map[string]int{}}
	for _, r := range requests {
		if r.Err != "" {
			c.Failed++
			c.Errors[r.Err]++
			continue
		}
		c.Slowest = max(c.Slowest, r.Took)
	}
	c.Before = sharesOf(requests, 0, played.Broke)
	c.During = sharesOf(requests, played.lateBroken(), played.Healing)
	c.After = sharesOf(requests, played.End-(played.End-played.Healed)/3, played.End)
	c.Settled = c.SlowestBetween(played.Cut+settleTime, played.Healing)
	c.Returns = c.returns(played)
	c.Stayed = c.tookShare(played, played.Cut+stayTime, played.Healing)
	if c.Left = c.left(played); c.Left {
		c.Moved, c.Back = c.moves(played)
	}
	return c
}

// Calm is the slowest request of those sent a second before it broke at the latest: what clients wait for when nothing is
// wrong.
func (c *Cell) Calm(played *Played) time.Duration {
	return c.SlowestBetween(0, played.Broke-time.Second)
}

const (
	// settleTime is how long after the way broke nothing should be slow any more.
	settleTime = 10 * time.Second
	// stayTime is how long after it traffic has left a way that is only a little beyond its service level.
	stayTime = time.Minute
	// stragglers is the part of a share that may be left of it: a TCP connection's tunnel is known to half a second only.
	stragglers = 0.1
)

// left tells whether traffic left the ways that broke: of the share that took them before next to nothing is left in the
// last third of the time that they are broken.
func (c *Cell) left(played *Played) bool {
	before := c.tookShare(played, 0, played.Broke)
	return before > 0 && c.tookShare(played, played.lateBroken(), played.Healing) <= stragglers*before
}

// tookShare is the share of the requests sent in a time that took the ways that break.
func (c *Cell) tookShare(played *Played, from, to time.Duration) float64 {
	counts := map[bool]int{}
	for _, r := range c.Requests {
		if r.Err == "" && r.Sent >= from && r.Sent < to {
			counts[played.took(r)]++
		}
	}
	if len(counts) == 0 {
		return 0
	}
	return float64(counts[true]) / float64(counts[true]+counts[false])
}

// moves tells when the last request took a way that was broken, and when the first did so again.
func (c *Cell) moves(played *Played) (moved, back time.Duration) {
	for _, r := range c.Requests {
		switch {
		case r.Err != "" || !played.took(r):
		case r.Sent >= played.Cut && r.Sent < played.Healing:
			moved = r.Sent - played.Cut
		case r.Sent >= played.Healing && back == 0:
			back = r.Sent - played.Healing
		}
	}
	return moved, back
}

// returns counts how often traffic came back to the ways that broke before they healed: by what most requests of each second
// took, to the cluster whose traffic did so most often, because each has its own hops.
func (c *Cell) returns(played *Played) int {
	most := 0
	for _, cluster := range c.clusters() {
		was, count := true, 0
		for at := played.Cut; at < played.Healing; at += time.Second {
			took, others := 0, 0
			for _, r := range c.Requests {
				switch {
				case r.Err != "" || r.Cluster != cluster || r.Sent < at || r.Sent >= at+time.Second:
				case played.took(r):
					took++
				default:
					others++
				}
			}
			if took+others == 0 {
				continue
			}
			is := took > others
			if is && !was {
				count++
			}
			was = is
		}
		most = max(most, count)
	}
	return most
}

// clusters are those that answered.
func (c *Cell) clusters() []string {
	seen := map[string]bool{}
	for _, r := range c.Requests {
		if r.Err == "" {
			seen[r.Cluster] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// SlowestBetween is the slowest request that was sent in a time and did not fail.
func (c *Cell) SlowestBetween(from, to time.Duration) time.Duration {
	slowest := time.Duration(0)
	for _, r := range c.Requests {
		if r.Err == "" && r.Sent >= from && r.Sent < to {
			slowest = max(slowest, r.Took)
		}
	}
	return slowest
}
