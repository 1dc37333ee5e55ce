// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

const (
	// rest is the shortest time between two wake-ups of a site's writer: what becomes due within it is written in one go. It
	// bounds what waking costs at high packet rates, and is what it can add to a latency.
	rest = 100 * time.Microsecond
	// batch is how many packets a writer takes out at a time.
	batch = 64

	never = time.Duration(math.MaxInt64)
)

// exit is where tunnels end at one site: all links towards it, and when the next packet is due. It is safe for concurrent use.
type exit struct {
	frames *frames
	wake   func(after time.Duration) // asks for a call of due

	mu        sync.Mutex
	closed    reason // why nothing can leave here; forwarded when it can
	links     []*link
	notices   []*frame      // to be written at once: what tells this end that a tunnel refuses its connections
	room      int           // flows that may still be opened
	turn      int           // link to look at first, so that none can starve the others
	armed     time.Duration // when wake was last asked for; never when it is not pending
	restUntil time.Duration
}

func newExit(f *frames, closed reason, wake func(time.Duration)) *exit {
	return &exit{frames: f, wake: wake, closed: closed, room: maxFlows, armed: never}
}

// send gives a packet to l, one of x's links, and returns what became of it.
func (x *exit) send(now time.Duration, l *link, key flowKey, opens bool, data []byte) reason {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := l.ledger.find(key, &x.room)
	verdict := x.closed
	var depart time.Duration
	if verdict == forwarded {
		depart, verdict = l.admit(now, len(data))
	}
	if verdict != forwarded {
		t.dropped[verdict]++
		if verdict == dropRefused {
			x.tell(now, data, packet.Abort)
		}
		return verdict
	}
	f := x.frames.of(data)
	f.tally, f.opens = t, opens
	l.hold(depart, f)
	x.arm(now, l)
	return forwarded
}

// notice has a packet written that says of the one in data that a tunnel refuses it.
func (x *exit) notice(now time.Duration, data []byte, say func(dst, b []byte, h *packet.Header) []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tell(now, data, say)
}

// tell is notice with x.mu held.
func (x *exit) tell(now time.Duration, data []byte, say func(dst, b []byte, h *packet.Header) []byte) {
	var h packet.Header
	if x.closed != forwarded || packet.Parse(data, &h) != nil {
		return
	}
	if said := say(make([]byte, packet.MaxReject), data, &h); said != nil {
		x.notices = append(x.notices, x.frames.of(said))
		x.armAt(now, now)
	}
}

// arm asks for a wake-up when l's first packet is due, unless one that is early enough is pending.
func (x *exit) arm(now time.Duration, l *link) {
	next, some := l.next()
	if !some {
		return
	}
	x.armAt(now, next)
}

func (x *exit) armAt(now, next time.Duration) {
	if next = max(next, x.restUntil); next < x.armed {
		x.armed = next
		x.wake(max(0, next-now))
	}
}

// due appends to out, up to its capacity, the packets to be written now, and counts them. When it appends none, it has asked to
// be woken for the next.
func (x *exit) due(now time.Duration, out []*frame) []*frame {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.turn++
	n := min(len(x.notices), cap(out)-len(out))
	out, x.notices = append(out, x.notices[:n]...), x.notices[n:]
	for i := range x.links {
		l := x.links[(x.turn+i)%len(x.links)]
		for len(out) < cap(out) {
			if next, some := l.next(); !some || next > now {
				break
			}
			f := l.pop()
			f.tally.forward(f)
			out = append(out, f)
		}
	}
	if len(out) > 0 {
		return out
	}
	x.armed, x.restUntil = never, now+rest
	for _, l := range x.links {
		x.arm(now, l)
	}
	return out
}

// setLink changes the settings of one of x's links. Of the packets under way that it begins to refuse it tells this end, and
// returns copies by which the other end, where they came from, is to be told.
func (x *exit) setLink(now time.Duration, l *link, change func(Settings) Settings) (refused [][]byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := change(l.settings)
	drop := x.dropper(dropBlackhole)
	if s.State == Refused {
		free := x.dropper(dropRefused)
		drop = func(f *frame) {
			x.tell(now, f.data, packet.Abort)
			refused = append(refused, slices.Clone(f.data))
			free(f)
		}
	}
	l.set(now, s, drop)
	x.arm(now, l)
	return refused
}

// setClosed opens x or, with a reason, closes it and gives up what its links hold.
func (x *exit) setClosed(why reason) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = why
	if why == forwarded {
		return
	}
	x.notices = nil
	for _, l := range x.links {
		l.flush(x.dropper(why))
	}
}

func (x *exit) dropper(why reason) func(*frame) {
	return func(f *frame) {
		f.tally.dropped[why]++
		x.frames.free(f)
	}
}

func (x *exit) addLinks(links ...*link) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.links = append(x.links, links...)
}

// link returns the link of a tunnel from a site; nil when there is none.
func (x *exit) link(tunnel, from string) *link {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.links {
		if l.tunnel == tunnel && l.from == from {
			return l
		}
	}
	return nil
}

// removeLinksFrom forgets the links from a site, with what they hold and have counted.
func (x *exit) removeLinksFrom(site string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.links = slices.DeleteFunc(x.links, func(l *link) bool {
		if l.from != site {
			return false
		}
		x.room += len(l.ledger.flows)
		l.flush(x.frames.free)
		return true
	})
}

func (x *exit) resetCounters() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.room = maxFlows
	for _, l := range x.links {
		x.room -= l.resetCounters()
	}
}

// appendFlows appends what x has counted.
func (x *exit) appendFlows(to []Flow) []Flow {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.links {
		to = l.appendFlows(to)
	}
	return to
}

// linkStatus returns the settings of the links of a tunnel, and what they hold.
func (x *exit) linkStatus(tunnel string) []LinkStatus {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []LinkStatus
	for _, l := range x.links {
		if l.tunnel == tunnel {
			all = append(all, LinkStatus{From: l.from, To: l.to, Settings: l.settings, Held: l.queue.len()})
		}
	}
	return all
}
