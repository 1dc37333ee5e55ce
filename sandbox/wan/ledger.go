// SPDX-License-Identifier: Apache-2.0

package wan

import "net/netip"

// maxFlows bounds the flows that are counted apart among those to one site.
const maxFlows = 4096

// reason says why a packet was not forwarded; forwarded is none.
type reason uint8

const (
	forwarded reason = iota
	dropLoss
	dropQueue
	dropBlackhole
	dropRefused
	dropSiteDown
	dropNoRoute
	reasons
)

// flowKey tells the flows of one link apart.
type flowKey struct {
	src, dst netip.Addr
	port     uint16
}

// tally counts one flow. Its zero key is that of OtherAddress.
type tally struct {
	key                         flowKey
	packets, bytes, connections uint64
	dropped                     [reasons]uint64
}

func (t *tally) forward(f *frame) {
	t.packets++
	t.bytes += uint64(len(f.data))
	if f.opens {
		t.connections++
	}
}

// value returns t's numbers.
func (t *tally) value() Tally {
	return Tally{Packets: t.packets, Bytes: t.bytes, Connections: t.connections, Dropped: Drops{
		Loss: t.dropped[dropLoss], Queue: t.dropped[dropQueue], Blackhole: t.dropped[dropBlackhole],
		Refused: t.dropped[dropRefused], SiteDown: t.dropped[dropSiteDown], NoRoute: t.dropped[dropNoRoute],
	}}
}

// ledger holds the tallies of one link.
type ledger struct {
	flows map[flowKey]*tally
	other tally
}

// find returns the tally of key, which it opens when *room allows and then takes one from *room.
func (l *ledger) find(key flowKey, room *int) *tally {
	if t := l.flows[key]; t != nil {
		return t
	}
	if *room <= 0 {
		return &l.other
	}
	if l.flows == nil {
		l.flows = make(map[flowKey]*tally)
	}
	*room--
	t := &tally{key: key}
	l.flows[key] = t
	return t
}

// resetCounters sets all counters of l to zero and returns how many flows it still holds: those of packets under way, which
// will be counted when they arrive.
func (l *link) resetCounters() int {
	l.ledger.other = tally{}
	l.ledger.flows = make(map[flowKey]*tally)
	for i := range l.queue.len() {
		t := l.queue.at(i).packet.tally
		if t == &l.ledger.other {
			continue
		}
		*t = tally{key: t.key}
		l.ledger.flows[t.key] = t
	}
	return len(l.ledger.flows)
}

// appendFlows appends the flows of l that have counted something.
func (l *link) appendFlows(to []Flow) []Flow {
	for _, t := range l.ledger.flows {
		to = l.appendFlow(to, t, t.key.src.String(), t.key.dst.String())
	}
	return l.appendFlow(to, &l.ledger.other, OtherAddress, OtherAddress)
}

func (l *link) appendFlow(to []Flow, t *tally, src, dst string) []Flow {
	v := t.value()
	if v == (Tally{}) {
		return to
	}
	return append(to, Flow{Tunnel: l.tunnel, From: l.from, To: l.to, Source: src, Destination: dst, Port: t.key.port, Tally: v})
}
