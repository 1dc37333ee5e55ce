// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"
	"time"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// together judges two hops of one cluster every ten milliseconds until end, and tells how often they were decided upon while
// one of them alone was dead, and when that was first.
func together(seed int64, end time.Duration, first, second link) (decided int, at time.Duration) {
	a, b := newSim(high, seed, first), newSim(high, -seed, second)
	for now := time.Duration(0); now < end; now += 10 * ms {
		a.until(now)
		b.until(now)
		reports := []Report{
			a.t.Report(translate.HopKey{Cluster: "a", Policy: "1"}, a.start.Add(now)),
			b.t.Report(translate.HopKey{Cluster: "a", Policy: "2"}, b.start.Add(now)),
		}
		oneDead := (a.t.state == dead) != (b.t.state == dead)
		if oneDead && !Judge(reports, nil, func(string) Testimony { return FeedAsked }).Undecided["a"] {
			if decided++; decided == 1 {
				at = now
			}
		}
	}
	return decided, at
}

// TestHopsThatDieTogether: hops are asked in turns, so what kills all of them is seen on one after the other. Nothing is
// decided until it is known of all.
func TestHopsThatDieTogether(t *testing.T) {
	const bad = 10 * time.Second
	for seed := range int64(200) {
		for _, slow := range []time.Duration{20 * ms, 60 * ms, 120 * ms} {
			n, at := together(seed, bad+10*time.Second, then(steady(40*ms, 2*ms), bad, silentLink), then(steady(slow, 2*ms), bad, silentLink))
			if n > 0 {
				t.Errorf("seed %d, %v: decided %d times while one was dead, first at %v", seed, slow, n, at)
			}
		}
	}
}

// TestHopThatDiesAlone: waiting for the others costs no more than a round trip of theirs, and a second at most.
func TestHopThatDiesAlone(t *testing.T) {
	const bad = 10 * time.Second
	for seed := range int64(200) {
		for _, slow := range []time.Duration{20 * ms, 60 * ms, 700 * ms} {
			n, at := together(seed, bad+5*time.Second, then(steady(40*ms, 2*ms), bad, silentLink), steady(slow, 2*ms))
			a := newSim(high, seed, then(steady(40*ms, 2*ms), bad, silentLink))
			a.until(bad + 5*time.Second)
			most := slow + 12*ms
			if slow > Interval { // it owes an answer at any time
				most = dyingFor + 10*ms
			}
			if died := a.when(dead, bad); n == 0 || at-died > most {
				t.Errorf("seed %d, %v: died at %v, decided at %v", seed, slow, died, at)
			}
		}
	}
}
