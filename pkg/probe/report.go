// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Report is what is known of a hop.
type Report struct {
	translate.HopKey
	State  v1alpha1.HopState
	Reason string
	Since  time.Time
	// RTT and Jitter are estimates; 0 while Measured is false.
	RTT, Jitter time.Duration
	// Loss is the share of lost handshakes, from 0 to 1.
	Loss float64
	// Measured tells whether something has answered lately.
	Measured bool
	// Broken tells that the last handshakes could not even be tried.
	Broken bool
	// Returning: it was dead and has not been healthy for long, and its policy keeps connections open over what comes next.
	Returning bool
	// JustDied: it is dead, and has been for less than dyingFor.
	JustDied bool
	// Answering: it is dead, and has answered everything since some handshake after that.
	Answering bool
	// Waiting: something has answered lately, but not the last handshake yet.
	Waiting bool
	// Hold is how long it takes at least until the hop returns; 0 unless it is dead or degraded.
	Hold time.Duration
}

// brokenAfter handshakes in a row that could not be tried make a report Broken.
const brokenAfter = 3

// dyingFor is how long after a death it is waited for other hops of the same cluster that answer or die: what kills one
// tunnel, or this prober, often kills all. Hops are asked in turns, so they do not die at once.
const dyingFor = time.Second

// Report says what is known now.
func (t *Track) Report(key translate.HopKey, now time.Time) Report {
	r := Report{
		HopKey: key, State: t.state, Reason: t.reason, Since: t.since,
		RTT: t.est.rtt(), Jitter: t.est.jitter(), Loss: t.est.loss(),
		Measured: len(t.est.last) > 0, Broken: t.broken >= brokenAfter,
		Waiting: len(t.est.last) > 0 && len(t.pending) > 0,
	}
	switch t.state {
	case v1alpha1.HopHealthy:
		r.Returning = t.warm && !t.dead.returned.IsZero() && now.Sub(t.dead.returned) < returningFor
	case v1alpha1.HopDead:
		r.Hold, r.JustDied, r.Answering = t.dead.left(now), now.Sub(t.since) < dyingFor, t.answers > 0
	case v1alpha1.HopDegraded:
		r.Hold = max(t.degraded.left(now), t.bounds.ripens(&t.est, now))
	}
	return r
}
