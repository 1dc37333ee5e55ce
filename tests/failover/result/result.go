// SPDX-License-Identifier: Apache-2.0

// Package result is what the cases of the failure matrix came to: package failover writes it down, the report is made of it.
package result

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Protocol is how a client calls.
type Protocol string

// The protocols of the matrix.
const (
	GET  Protocol = "get"
	H2   Protocol = "h2"
	PUT  Protocol = "put"
	POST Protocol = "post"
	GRPC Protocol = "grpc"
	TCP  Protocol = "tcp"
)

// Protocols are all of them in the order of the report.
func Protocols() []Protocol { return []Protocol{GET, H2, PUT, POST, GRPC, TCP} }

// Repeatable are those whose requests are repeated after they have been sent, which bars are for. PUT is, because the
// owner of the service says so.
func Repeatable() []Protocol { return []Protocol{GET, H2, PUT} }

// Request is what became of one request.
type Request struct {
	// Sent is when, since the load began.
	Sent time.Duration `json:"sent"`
	Took time.Duration `json:"took"`
	// Cluster answered, and Tunnel carried it; empty where that is not known.
	Cluster string `json:"cluster,omitempty"`
	Tunnel  string `json:"tunnel,omitempty"`
	Err     string `json:"err,omitempty"`
}

// Cell is a case played with one protocol.
type Cell struct {
	Protocol Protocol `json:"protocol"`
	// Sent and Failed count requests; Slowest is of those that did not fail.
	Sent    int           `json:"sent"`
	Failed  int           `json:"failed"`
	Slowest time.Duration `json:"slowest"`
	// Settled is the slowest of those sent from ten seconds after it broke until it healed.
	Settled time.Duration `json:"settled"`
	// Moved is how long after it broke the last request went the way of before, Back how long after it healed the first did so
	// again; 0 where traffic did not move or did not return.
	Moved time.Duration `json:"moved,omitempty"`
	Back  time.Duration `json:"back,omitempty"`
	// Returns is how often traffic came back to the tunnel of before, while it was broken.
	Returns int `json:"returns,omitempty"`
	// Errors counts what clients saw.
	Errors map[string]int `json:"errors,omitempty"`
	// Before, During and After are where most requests went: before it broke, in the last third of the time that it was
	// broken, in the last third of the time after it healed.
	Before Way `json:"before"`
	During Way `json:"during"`
	After  Way `json:"after"`
	// Requests are all of them.
	Requests []Request `json:"requests"`
}

// Way is a tunnel and a cluster.
type Way struct {
	Tunnel  string `json:"tunnel"`
	Cluster string `json:"cluster"`
}

// String is the way in a table.
func (w Way) String() string { return w.Tunnel + " " + w.Cluster }

// Played is what became of a case.
type Played struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Broke and Healed are when, since the load began; Healed is when it was over with healing.
	Broke  time.Duration `json:"broke"`
	Healed time.Duration `json:"healed"`
	End    time.Duration `json:"end"`
	// Ours went over mc-wan's egress gateway, Plain over one with Istio's defaults.
	Ours  []Cell `json:"ours"`
	Plain []Cell `json:"plain,omitempty"`
}

// Run is several cases played in the same way.
type Run struct {
	Name  string    `json:"name"`
	Title string    `json:"title"`
	When  time.Time `json:"when"`
	// Setup is what is set for it that is not the default, in Markdown.
	Setup string `json:"setup,omitempty"`
	// Untimed: the load is not the one that the bars' times are for.
	Untimed bool `json:"untimed,omitempty"`
	// GETRate is GETs a second, Rate requests a second of each other protocol.
	GETRate int `json:"getRate"`
	Rate    int `json:"rate"`
	// Load is the machine's load averages (1, 5, 15 min) at the begin and at the end.
	Load  [2]string `json:"load"`
	Cases []Played  `json:"cases"`
}

// Report is what was played on a sandbox.
type Report struct {
	Clusters int   `json:"clusters"`
	Gateways int   `json:"gateways"`
	Imports  int   `json:"imports"`
	CPUs     int   `json:"cpus"`
	Runs     []Run `json:"runs"`
}

// Cell is what became of a protocol over mc-wan; nil if it was not played.
func (p *Played) Cell(protocol Protocol) *Cell {
	i := slices.IndexFunc(p.Ours, func(c Cell) bool { return c.Protocol == protocol })
	if i < 0 {
		return nil
	}
	return &p.Ours[i]
}

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
	third := func(from, to time.Duration) Way { return mostOf(requests, to-(to-from)/3, to) }
	c.Before = mostOf(requests, 0, played.Broke)
	c.During = third(played.Broke, played.Healed)
	c.After = third(played.Healed, played.End)
	c.Settled = c.SlowestBetween(played.Broke+settleTime, played.Healed)
	c.Returns = c.returns(played)
	if c.During.Tunnel != c.Before.Tunnel || c.lost(c.Before.Cluster, played) {
		c.Moved, c.Back = c.moves(played)
	}
	return c
}

// Left tells whether traffic left the way of before.
func (c *Cell) Left() bool { return c.During.Tunnel != c.Before.Tunnel || c.Moved > 0 || c.Back > 0 }

// Calm is the slowest request of those sent a second before it broke at the latest: what clients wait for when nothing is
// wrong.
func (c *Cell) Calm(played *Played) time.Duration {
	return c.SlowestBetween(0, played.Broke-time.Second)
}

// settleTime is how long after it broke nothing should be slow any more.
const settleTime = 10 * time.Second

// moves tells when traffic left the way of before and when it came back, by the tunnel; by the cluster where the tunnel
// stayed the same.
func (c *Cell) moves(played *Played) (moved, back time.Duration) {
	asBefore := func(r Request) bool {
		if c.During.Tunnel != c.Before.Tunnel {
			return r.Tunnel == c.Before.Tunnel
		}
		return r.Cluster == c.Before.Cluster
	}
	for _, r := range c.Requests {
		switch {
		case r.Err != "" || !asBefore(r):
		case r.Sent >= played.Broke && r.Sent < played.Healed:
			moved = r.Sent - played.Broke
		case r.Sent >= played.Healed && back == 0:
			back = r.Sent - played.Healed
		}
	}
	return moved, back
}

// returns counts how often traffic came back to the tunnel of before while it was broken: by the tunnel of most requests of
// each second, to the cluster whose traffic did so most often, because each has its own hops.
func (c *Cell) returns(played *Played) int {
	most := 0
	for _, cluster := range c.clusters() {
		was, count := c.Before.Tunnel, 0
		for at := played.Broke; at < played.Healed; at += time.Second {
			counts := map[string]int{}
			for _, r := range c.Requests {
				if r.Err == "" && r.Cluster == cluster && r.Sent >= at && r.Sent < at+time.Second {
					counts[r.Tunnel]++
				}
			}
			if len(counts) == 0 {
				continue
			}
			is := Commonest(counts)
			if is == c.Before.Tunnel && was != is {
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

// lost tells whether a cluster answers no request any more in the last third of the time that it is broken. Which of two
// that share the requests answers most of them is chance.
func (c *Cell) lost(cluster string, played *Played) bool {
	from := played.Healed - (played.Healed-played.Broke)/3
	return !slices.ContainsFunc(c.Requests, func(r Request) bool {
		return r.Err == "" && r.Sent >= from && r.Sent < played.Healed && r.Cluster == cluster
	})
}

// mostOf is where most of the requests went that were sent in a time.
func mostOf(requests []Request, from, to time.Duration) Way {
	tunnels, clusters := map[string]int{}, map[string]int{}
	for _, r := range requests {
		if r.Err == "" && r.Sent >= from && r.Sent < to {
			tunnels[r.Tunnel]++
			clusters[r.Cluster]++
		}
	}
	return Way{Tunnel: Commonest(tunnels), Cluster: Commonest(clusters)}
}

// Commonest is what has been counted most often; "none" if nothing has.
func Commonest(counts map[string]int) string {
	keys := slices.Sorted(maps.Keys(counts))
	if len(keys) == 0 {
		return "none"
	}
	return slices.MaxFunc(keys, func(a, b string) int { return cmp.Compare(counts[a], counts[b]) })
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

// Line is a case in a line, for people who watch.
func Line(p *Played) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-16s", p.Name)
	for i, c := range p.Ours {
		fmt.Fprintf(&out, " %s %d/%d failed, slowest %s (%s %s > %s %s > %s %s)", c.Protocol, c.Failed, c.Sent, c.Slowest.Round(time.Millisecond),
			c.Before.Tunnel, c.Before.Cluster, c.During.Tunnel, c.During.Cluster, c.After.Tunnel, c.After.Cluster)
		if i < len(p.Plain) {
			fmt.Fprintf(&out, " [plain %d/%d, %s]", p.Plain[i].Failed, p.Plain[i].Sent, p.Plain[i].Slowest.Round(time.Millisecond))
		}
		out.WriteString(";")
	}
	return out.String()
}
