// SPDX-License-Identifier: Apache-2.0

// Package result is what the cases of the failure matrix came to: package failover writes it down, the report is made of it.
package result

import (
	"fmt"
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
	// Settled is the slowest of those sent from ten seconds after the way broke until it healed.
	Settled time.Duration `json:"settled"`
	// Left tells whether traffic left the ways that broke, Moved how long after they did the last request took one, Back how
	// long after they began to heal the first did so again; 0 where none did.
	Left  bool          `json:"left,omitempty"`
	Moved time.Duration `json:"moved,omitempty"`
	Back  time.Duration `json:"back,omitempty"`
	// Returns is how often traffic came back to the ways that broke before they healed, Stayed the share of the requests sent
	// from a minute after they broke that still took them.
	Returns int     `json:"returns,omitempty"`
	Stayed  float64 `json:"stayed,omitempty"`
	// Errors counts what clients saw.
	Errors map[string]int `json:"errors,omitempty"`
	// Before, During and After are where requests went: before it broke, in the last third of the time that the way was
	// broken, in the last third of the time after it healed.
	Before Shares `json:"before"`
	During Shares `json:"during"`
	After  Shares `json:"after"`
	// Requests are all of them.
	Requests []Request `json:"requests"`
}

// Way is a tunnel to a cluster; an empty name stands for any.
type Way struct {
	Tunnel  string `json:"tunnel,omitempty"`
	Cluster string `json:"cluster,omitempty"`
}

func (w Way) took(r Request) bool {
	return (w.Tunnel == "" || w.Tunnel == r.Tunnel) && (w.Cluster == "" || w.Cluster == r.Cluster)
}

// Played is what became of a case.
type Played struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Ways are those that break; none where requests keep theirs.
	Ways []Way `json:"ways,omitempty"`
	// Broke is when it began to break, since the load began, and Cut when the ways did, which is later where something else
	// breaks first. Healing is when it began to heal, Healed when it was over with that.
	Broke   time.Duration `json:"broke"`
	Cut     time.Duration `json:"cut"`
	Healing time.Duration `json:"healing"`
	Healed  time.Duration `json:"healed"`
	End     time.Duration `json:"end"`
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
	Clusters int `json:"clusters"`
	Gateways int `json:"gateways"`
	Imports  int `json:"imports"`
	CPUs     int `json:"cpus"`
	// Congestion is the machine's congestion control, which its gateways use.
	Congestion string `json:"congestion"`
	Runs       []Run  `json:"runs"`
}

// Cell is what became of a protocol over mc-wan; nil if it was not played.
func (p *Played) Cell(protocol Protocol) *Cell {
	i := slices.IndexFunc(p.Ours, func(c Cell) bool { return c.Protocol == protocol })
	if i < 0 {
		return nil
	}
	return &p.Ours[i]
}

// Line is a case in a line, for people who watch.
func Line(p *Played) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-16s", p.Name)
	for i, c := range p.Ours {
		fmt.Fprintf(&out, " %s %d/%d failed, slowest %s (%s > %s > %s)", c.Protocol, c.Failed, c.Sent, c.Slowest.Round(time.Millisecond),
			c.Before, c.During, c.After)
		if i < len(p.Plain) {
			fmt.Fprintf(&out, " [plain %d/%d, %s]", p.Plain[i].Failed, p.Plain[i].Sent, p.Plain[i].Slowest.Round(time.Millisecond))
		}
		out.WriteString(";")
	}
	return out.String()
}
