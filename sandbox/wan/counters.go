// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"cmp"
	"slices"
	"strings"
)

// OtherAddress stands for source and destination in the flow that gathers what came when there was no room for more flows.
const OtherAddress = "other"

// Counters are what the SD-WAN has counted since its start or the last reset: a value, to be compared with another one.
type Counters struct {
	// Flows are sorted by tunnel, sites, addresses and port.
	Flows []Flow `json:"flows"`
}

// Flow is what went from one address to another, in one direction, over one tunnel.
type Flow struct {
	// Tunnel, From and To (site names) are the way that the packets took. Tunnel and To are empty for packets to a
	// destination that is at no site.
	Tunnel string `json:"tunnel"`
	From   string `json:"from"`
	To     string `json:"to"`
	// Source and Destination are IP addresses, or both OtherAddress.
	Source      string `json:"source"`
	Destination string `json:"destination"`
	// Port is the TCP port, source or destination, by which the tunnel was chosen; 0 where no class matched.
	Port uint16 `json:"port"`
	Tally
}

// Tally counts packets.
type Tally struct {
	// Packets and Bytes (of IP packets, headers included) were handed to the other site.
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	// Connections are packets among them that ask for a TCP connection (SYN without ACK). A SYN that is sent again because
	// its answer was lost counts again; one that the tunnel dropped does not count.
	Connections uint64 `json:"connections"`
	// Dropped packets are not in Packets.
	Dropped Drops `json:"dropped"`
}

// Drops count packets that were not forwarded, by reason.
type Drops struct {
	// Loss is the tunnel's loss probability, Queue its rate limit, Blackhole and Refused its state.
	Loss      uint64 `json:"loss,omitempty"`
	Queue     uint64 `json:"queue,omitempty"`
	Blackhole uint64 `json:"blackhole,omitempty"`
	Refused   uint64 `json:"refused,omitempty"`
	// SiteDown packets were for a site whose device cannot be reached, NoRoute packets for an address that is at no site.
	SiteDown uint64 `json:"siteDown,omitempty"`
	NoRoute  uint64 `json:"noRoute,omitempty"`
}

// Total returns the sum over all reasons.
func (d Drops) Total() uint64 {
	return d.Loss + d.Queue + d.Blackhole + d.Refused + d.SiteDown + d.NoRoute
}

// Add returns the sum of t and o.
func (t Tally) Add(o Tally) Tally {
	return t.combine(o, func(a, b uint64) uint64 { return a + b })
}

// sub returns t less o; a number that is smaller than before, because of a reset in between, stands as it is.
func (t Tally) sub(o Tally) Tally {
	return t.combine(o, func(a, b uint64) uint64 {
		if a < b {
			return a
		}
		return a - b
	})
}

func (t Tally) combine(o Tally, f func(a, b uint64) uint64) Tally {
	return Tally{
		Packets: f(t.Packets, o.Packets), Bytes: f(t.Bytes, o.Bytes), Connections: f(t.Connections, o.Connections),
		Dropped: Drops{
			Loss: f(t.Dropped.Loss, o.Dropped.Loss), Queue: f(t.Dropped.Queue, o.Dropped.Queue),
			Blackhole: f(t.Dropped.Blackhole, o.Dropped.Blackhole), Refused: f(t.Dropped.Refused, o.Dropped.Refused),
			SiteDown: f(t.Dropped.SiteDown, o.Dropped.SiteDown), NoRoute: f(t.Dropped.NoRoute, o.Dropped.NoRoute),
		},
	}
}

// id returns f without its numbers.
func (f Flow) id() Flow {
	f.Tally = Tally{}
	return f
}

// Since returns what was counted between before and c; flows that did not change are left out.
func (c Counters) Since(before Counters) Counters {
	old := make(map[Flow]Tally, len(before.Flows))
	for _, f := range before.Flows {
		old[f.id()] = f.Tally
	}
	var d Counters
	for _, f := range c.Flows {
		if f.Tally = f.sub(old[f.id()]); f.Tally != (Tally{}) {
			d.Flows = append(d.Flows, f)
		}
	}
	return d
}

// Sum adds up the flows that match.
func (c Counters) Sum(match func(Flow) bool) Tally {
	var t Tally
	for _, f := range c.Flows {
		if match(f) {
			t = t.Add(f.Tally)
		}
	}
	return t
}

// By adds up flows that become the same when mask has cleared some of their fields. Sorted as Flows are.
func (c Counters) By(mask func(Flow) Flow) Counters {
	sums := make(map[Flow]Tally)
	for _, f := range c.Flows {
		id := mask(f.id()).id()
		sums[id] = sums[id].Add(f.Tally)
	}
	var out Counters
	for id, t := range sums {
		id.Tally = t
		out.Flows = append(out.Flows, id)
	}
	out.sort()
	return out
}

func (c Counters) sort() {
	slices.SortFunc(c.Flows, func(a, b Flow) int {
		return cmp.Or(strings.Compare(a.Tunnel, b.Tunnel), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To),
			strings.Compare(a.Source, b.Source), strings.Compare(a.Destination, b.Destination), cmp.Compare(a.Port, b.Port))
	})
}
