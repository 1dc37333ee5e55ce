// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// link is what a simulated network does to a handshake that is started at a time since the start of the simulation.
type link func(at time.Duration, rng *rand.Rand) (Kind, time.Duration)

// change is one change of a hop's state.
type change struct {
	At    time.Duration
	State v1alpha1.HopState
	Why   string
}

// sim runs one Track in simulated time.
type sim struct {
	t     *Track
	rng   *rand.Rand
	link  link
	start time.Time
	now   time.Time

	changes []change
	sent    []time.Duration
	open    []Result // with RTT as the time until the result is known
}

func newSim(bounds Bounds, seed int64, l link) *sim {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &sim{t: NewTrack(bounds, Report{}, start), rng: rand.New(rand.NewSource(seed)), link: l, start: start, now: start}
}

// until runs the simulation up to a time, or until stop says so.
func (s *sim) until(end time.Duration, stop ...func(*sim) bool) {
	for s.now.Sub(s.start) < end {
		before := s.t.state
		if s.t.ShouldSend(s.now) {
			s.send()
		}
		s.t.Look(s.now)
		next := s.t.Due(s.now)
		for i, o := range s.open {
			if at := o.Sent.Add(o.RTT); !at.After(s.now) {
				s.open = slices.Delete(s.open, i, i+1)
				s.t.Done(s.now, o)
				next = s.now
				break
			} else if at.Before(next) {
				next = at
			}
		}
		if s.t.state != before {
			s.changes = append(s.changes, change{s.now.Sub(s.start), s.t.state, s.t.reason})
		}
		for _, f := range stop {
			if f(s) {
				return
			}
		}
		s.now = next
	}
}

func (s *sim) send() {
	kind, rtt := s.link(s.now.Sub(s.start), s.rng)
	r := Result{Sent: s.now, Kind: kind, RTT: rtt}
	if kind == Lost || rtt > GiveUp {
		r.Kind, r.RTT = Lost, GiveUp
	}
	s.open = append(s.open, r)
	s.sent = append(s.sent, s.now.Sub(s.start))
	s.t.Sent(s.now, s.rng.Float64())
}

// sentFrom counts the handshakes that were sent at or after a time.
func (s *sim) sentFrom(at time.Duration) int {
	i, _ := slices.BinarySearch(s.sent, at)
	return len(s.sent) - i
}

// when is the time of the first change to a state at or after a time; negative if there is none.
func (s *sim) when(state v1alpha1.HopState, after time.Duration) time.Duration {
	for _, c := range s.changes {
		if c.At >= after && c.State == state {
			return c.At
		}
	}
	return -1
}

// steady answers after rtt, plus or minus noise.
func steady(rtt, noise time.Duration) link {
	return func(_ time.Duration, rng *rand.Rand) (Kind, time.Duration) {
		return Answered, rtt + time.Duration((2*rng.Float64()-1)*float64(noise))
	}
}

// lossy loses each of the two packets of a handshake with probability p.
func lossy(l link, p float64) link {
	return func(at time.Duration, rng *rand.Rand) (Kind, time.Duration) {
		syn, answer := rng.Float64(), rng.Float64()
		if syn < p || answer < p {
			return Lost, 0
		}
		return l(at, rng)
	}
}

func silentLink(time.Duration, *rand.Rand) (Kind, time.Duration) { return Lost, 0 }

// refusing answers with a reset.
func refusing(time.Duration, *rand.Rand) (Kind, time.Duration) { return Refused, 20 * time.Millisecond }

// then follows one link up to a time and another one from there.
func then(first link, at time.Duration, second link) link {
	return func(now time.Duration, rng *rand.Rand) (Kind, time.Duration) {
		if now < at {
			return first(now, rng)
		}
		return second(now, rng)
	}
}

// once follows another link for the first handshake from a time on.
func once(l link, at time.Duration, other link) link {
	done := false
	return func(now time.Duration, rng *rand.Rand) (Kind, time.Duration) {
		if now < at || done {
			return l(now, rng)
		}
		done = true
		return other(now, rng)
	}
}

// alternate is good and bad in turn.
func alternate(good link, goodFor time.Duration, bad link, badFor time.Duration) link {
	return func(now time.Duration, rng *rand.Rand) (Kind, time.Duration) {
		if now%(goodFor+badFor) < goodFor {
			return good(now, rng)
		}
		return bad(now, rng)
	}
}

// high is the service level of the samples' first policy.
var high = Bounds{RTT: 100 * time.Millisecond, Jitter: 50 * time.Millisecond, Loss: 0.01}

func within(t *testing.T, what string, got, after, most time.Duration) {
	t.Helper()
	if took := got - after; got < 0 || took > most {
		t.Errorf("%s after %v, want at most %v", what, took, most)
	}
}
