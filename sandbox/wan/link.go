// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"math/rand/v2"
	"time"
)

const (
	// maxHeld bounds the memory of one link: 64 MiB is 5 s of a rate of 100 Mbit/s.
	maxHeld = 64 << 20
	// burstTime and burstBytes, whichever is more, pass a rate limit at once after a pause.
	burstTime  = 10 * time.Millisecond
	burstBytes = 3000
)

// link is one tunnel in the direction from one site to another: it decides what becomes of each packet and when, and holds it
// until then. It is pure (now is the time since a start that its caller chooses) and not safe for concurrent use.
type link struct {
	tunnel, from, to string

	settings Settings
	rng      *rand.Rand
	jitter   jitter
	queue    ring
	held     int           // bytes in queue
	freeAt   time.Duration // when the rate limit will have passed all that it was given
	last     time.Duration // release of the packet at the end of queue
	ledger   ledger
}

func newLink(tunnel, from, to string, s Settings, seed uint64) *link {
	rng := rand.New(rand.NewPCG(seed, hashNames(tunnel, from, to)))
	return &link{tunnel: tunnel, from: from, to: to, settings: s, rng: rng, jitter: jitter{rng: rng}}
}

// hashNames gives each link a stream of random numbers of its own (FNV-1a).
func hashNames(names ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, n := range names {
		for i := range len(n) {
			h = (h ^ uint64(n[i])) * 1099511628211
		}
		h *= 1099511628211
	}
	return h
}

// held packets wait for release.
type held struct {
	packet *frame
	depart time.Duration // when the packet has passed the rate limit
	leave  time.Duration // when it reaches the other site
}

// admit decides whether the link takes a packet of size bytes at now, and if so, when it passes the rate limit.
func (l *link) admit(now time.Duration, size int) (depart time.Duration, verdict reason) {
	switch {
	case l.settings.State == Blackhole:
		return 0, dropBlackhole
	case l.settings.State == Refused:
		return 0, dropRefused
	case l.settings.Loss > 0 && l.rng.Float64() < float64(l.settings.Loss):
		return 0, dropLoss
	case l.held+size > maxHeld || l.backlog(now) > time.Duration(l.settings.Queue):
		return 0, dropQueue
	}
	return l.transmit(now, size), forwarded
}

// hold takes a packet that was admitted.
func (l *link) hold(depart time.Duration, p *frame) {
	l.last = max(l.last, depart+l.delay(depart))
	l.queue.push(held{packet: p, depart: depart, leave: l.last})
	l.held += len(p.data)
}

// backlog returns how long a packet that comes now would wait for the rate limit.
func (l *link) backlog(now time.Duration) time.Duration {
	if l.settings.Rate == 0 {
		return 0
	}
	return l.freeAt - now
}

// transmit passes size bytes through the token bucket, which is kept as the time at which it will be out of work, and
// returns when they are through. Time saved up is the bucket's depth.
func (l *link) transmit(now time.Duration, size int) time.Duration {
	if l.settings.Rate == 0 {
		return now
	}
	depth := max(burstTime, l.sending(burstBytes))
	l.freeAt = max(l.freeAt, now-depth) + l.sending(size)
	return max(now, l.freeAt)
}

// sending returns how long size bytes take at the link's rate.
func (l *link) sending(size int) time.Duration {
	return time.Duration(float64(size) * 8 / float64(l.settings.Rate) * float64(time.Second))
}

// delay returns what a packet that passes the rate limit at the given time still has to travel.
func (l *link) delay(at time.Duration) time.Duration {
	d := time.Duration(l.settings.Latency)
	if l.settings.Jitter > 0 {
		d += l.jitter.at(at, time.Duration(l.settings.Jitter))
	}
	return d
}

// next returns when the first held packet is to be released; false when none is held.
func (l *link) next() (time.Duration, bool) {
	if l.queue.len() == 0 {
		return 0, false
	}
	return l.queue.at(0).leave, true
}

// pop takes out the first held packet. There must be one.
func (l *link) pop() *frame {
	p := l.queue.pop().packet
	l.held -= len(p.data)
	return p
}

// set changes the settings, also for packets that the link holds: those that wait for the rate limit wait by the new one,
// those under way arrive no later than a new packet would, and a link that is no longer up gives up all of them. The packets
// given up are passed to drop.
func (l *link) set(now time.Duration, s Settings, drop func(*frame)) {
	old := l.settings
	l.settings = s
	if s.State != Up {
		l.flush(drop)
		return
	}
	if old == s {
		return
	}
	l.freeAt, l.last = now, now
	longest := now + time.Duration(s.Latency+s.Jitter)
	for i := range l.queue.len() {
		h := l.queue.at(i)
		if h.depart > now {
			h.depart = l.transmit(now, len(h.packet.data))
			h.leave = h.depart + l.delay(h.depart)
		} else {
			h.leave = min(h.leave, longest)
		}
		h.leave = max(h.leave, l.last)
		l.last = h.leave
	}
}

// flush gives up all held packets.
func (l *link) flush(drop func(*frame)) {
	for l.queue.len() > 0 {
		drop(l.pop())
	}
	l.freeAt, l.last = 0, 0
}
