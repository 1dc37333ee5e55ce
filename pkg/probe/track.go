// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"slices"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// Interval is the pause between two handshakes with a hop that gives no cause for suspicion, and with one that has
	// been judged. Up to a fifth is added at random, so that hops are not asked in step.
	Interval = 500 * time.Millisecond
	// confirmEvery is the pause while an answer is overdue, lookEvery while losses are counted or another bound of the SLA seems
	// to be broken.
	confirmEvery = 100 * time.Millisecond
	lookEvery    = 200 * time.Millisecond
	// lookFor is how long a single odd answer keeps us looking closer.
	lookFor = 2 * time.Second
	// countFor is how long a loss does while more is lost than the SLA allows: a share takes many handshakes to estimate.
	countFor = 10 * time.Second

	// GiveUp ends a handshake. Less than a second, after which the kernel would send the SYN again and hide the loss
	// (RFC 6298, section 2; Linux TCP_TIMEOUT_INIT).
	GiveUp = 980 * time.Millisecond
	// An answer is overdue after roundTrips round trips, minOverdue at least.
	roundTrips = 4
	minOverdue = 250 * time.Millisecond

	// deadAfter handshakes in a row that are overdue, the first of them for silence at least, make a hop dead, and so do
	// refusals refusals.
	deadAfter = 3
	silence   = 700 * time.Millisecond
	refusals  = 2
	// maxPending bounds what is remembered of a hop that is silent for hours.
	maxPending = 16

	// breachFor is how long latency or jitter must be beyond the SLA until the hop is degraded.
	breachFor = 3 * time.Second
	// returningFor is how long a hop that was dead comes second where connections are kept open: a call a second makes
	// them, each from one worker of one egress gateway pod to one gateway of the peer. With two pods of two workers and two
	// gateways, 20 calls leave one of the eight without a connection every other time.
	returningFor = 20 * time.Second
	// minAnswers are needed until a hop that nobody knows is judged.
	minAnswers = 3
)

// Kind is what became of a handshake.
type Kind int

// What becomes of a handshake.
const (
	// Answered: it took Result.RTT.
	Answered Kind = iota
	// Lost: no answer within GiveUp.
	Lost
	// Refused: something said no at once.
	Refused
	// Broken: it could not be tried, for a reason of our own. It says nothing about the hop.
	Broken
)

// Result is what became of one handshake.
type Result struct {
	Sent time.Time
	Kind Kind
	RTT  time.Duration
}

// Track follows one hop: it says when the next handshake is due and judges by what became of the earlier ones. It has no
// clock; times must not go backwards. It is not safe for concurrent use.
type Track struct {
	bounds Bounds
	warm   bool // see Target.Warm
	est    estimator

	state  v1alpha1.HopState
	reason string
	since  time.Time

	// pending are the times at which handshakes were sent that have not been answered since the last answer.
	pending []time.Time
	refused int
	broken  int
	answers int // since the state was entered

	next     time.Time // when the next handshake is due
	lastSent time.Time
	stalled  time.Time // when the process had not run, last
	// lookUntil and countUntil are until when it is looked closer: at odd answers, at losses.
	lookUntil, countUntil time.Time

	breachSince, wellSince time.Time

	dead, degraded damper
	// degradedBy is why the hop was degraded when it died; empty if it was not.
	degradedBy string
}

// NewTrack follows a hop from now on. A state that was found holds until measurements say otherwise. Of what was found it
// reads State, Reason, Since and Returning; nothing was found if it is zero.
func NewTrack(bounds Bounds, found Report, now time.Time) *Track {
	t := &Track{
		bounds: bounds, state: found.State, reason: found.Reason, since: found.Since, next: now,
		dead:     damper{first: deadHold, most: maxDeadHold, growth: deadGrowth, forgives: deadForgives},
		degraded: damper{first: degradedHold, most: maxDegradedHold, growth: degradedGrowth, forgives: degradedForgives, apart: degradedApart},
	}
	if t.state == "" || t.state == v1alpha1.HopUnknown {
		t.state, t.reason = v1alpha1.HopUnknown, v1alpha1.ReasonNotMeasured
	}
	if t.since.IsZero() {
		t.since = now
	}
	if found.Returning {
		t.dead.back(t.since)
	}
	return t
}

// SetBounds changes what the hop is judged by. How often it has broken other bounds says nothing about these.
func (t *Track) SetBounds(b Bounds) {
	if b == t.bounds {
		return
	}
	t.bounds, t.breachSince, t.wellSince = b, time.Time{}, time.Time{}
	t.degraded.falls, t.degraded.returned = 0, time.Time{}
}

// Due is when Sent or Look has to be called again.
func (t *Track) Due(now time.Time) time.Time {
	due := t.next
	earlier := func(at time.Time) {
		if at.After(now) && at.Before(due) {
			due = at
		}
	}
	if t.state != v1alpha1.HopDead && len(t.pending) > 0 {
		earlier(t.pending[0].Add(t.overdue() / 2))
		earlier(t.pending[0].Add(max(t.overdue(), silence)))
		if len(t.pending) >= deadAfter {
			earlier(t.pending[deadAfter-1].Add(t.overdue()))
		}
	}
	return due
}

// ShouldSend tells whether a handshake is due.
func (t *Track) ShouldSend(now time.Time) bool { return !now.Before(t.next) }

// Sent notes that a handshake was started. spread, from 0 to 1, makes the pause to the next one longer.
func (t *Track) Sent(now time.Time, spread float64) {
	if len(t.pending) < maxPending {
		t.pending = append(t.pending, now)
	}
	t.lastSent = now
	t.next = now.Add(t.pause(now, spread))
}

func (t *Track) pause(now time.Time, spread float64) time.Duration {
	switch {
	case t.state == v1alpha1.HopDead:
	case t.suspicious(now):
		return confirmEvery
	case t.state == v1alpha1.HopDegraded:
	case now.Before(t.countUntil) && t.bounds.manyLost(&t.est), now.Before(t.lookUntil):
		return lookEvery
	}
	return Interval + time.Duration(spread*float64(Interval/5))
}

// overdue is how long an answer may take.
func (t *Track) overdue() time.Duration {
	if len(t.est.last) == 0 {
		return GiveUp
	}
	return min(max(roundTrips*t.est.rtt(), minOverdue), GiveUp)
}

// suspicious: an answer is half overdue, or was refused.
func (t *Track) suspicious(now time.Time) bool {
	return t.refused > 0 || (len(t.pending) > 0 && now.Sub(t.pending[0]) >= t.overdue()/2)
}

// hurry brings the next handshake forward to one pause after the last.
func (t *Track) hurry(now time.Time) {
	pause := t.pause(now, 0)
	if at := t.lastSent.Add(pause); pause < Interval && at.Before(t.next) {
		t.next = at
	}
}

// Stalled says that nobody looked for a while, because this process did not run. Silence since then is our own: what is
// under way is no evidence of a loss.
func (t *Track) Stalled(now time.Time) {
	t.pending, t.stalled = nil, now
}

// Done takes what became of a handshake.
func (t *Track) Done(now time.Time, r Result) {
	switch r.Kind {
	case Answered:
		t.answered(now, r)
	case Lost:
		if !r.Sent.After(t.stalled) {
			break
		}
		t.broken = 0
		if t.state != v1alpha1.HopDead {
			t.est.lostOne(now)
			t.countUntil = now.Add(countFor)
		}
		t.failed()
	case Refused:
		t.broken = 0
		t.refused++
		t.failed()
	case Broken:
		t.broken++
		t.pending = slices.DeleteFunc(t.pending, r.Sent.Equal)
	}
	t.Look(now)
}

func (t *Track) answered(now time.Time, r Result) {
	// What was sent before and not answered is lost, and is counted when its time is over; what was sent later is open.
	t.pending = slices.DeleteFunc(t.pending, func(sent time.Time) bool { return !sent.After(r.Sent) })
	t.refused, t.broken = 0, 0
	t.answers++
	deviation := t.est.answered(now, r.RTT, t.bounds.mostDeviation())
	if t.bounds.odd(r.RTT, deviation) {
		t.lookUntil = now.Add(lookFor)
	}
}

func (t *Track) failed() {
	if t.state == v1alpha1.HopDead {
		t.wellSince, t.answers, t.est.began = time.Time{}, 0, time.Time{}
	}
}

// Look judges by what is known. It is to be called when time has passed and after every result.
func (t *Track) Look(now time.Time) {
	t.est.expire(now)
	if t.state != v1alpha1.HopDead {
		t.hurry(now)
	}
	if reason := t.gone(now); reason != "" {
		if t.state != v1alpha1.HopDead {
			t.die(now, reason)
		}
		return
	}
	breach := t.breach(now)
	switch t.state {
	case v1alpha1.HopDead:
		t.mayReturn(now, breach)
	case v1alpha1.HopDegraded:
		t.mayRecover(now)
	default:
		switch {
		case breach != "":
			t.degrade(now, breach)
		case t.state != v1alpha1.HopHealthy && t.answers >= minAnswers && t.breachSince.IsZero():
			t.enter(now, v1alpha1.HopHealthy, v1alpha1.HopReasonAnswers)
		}
	}
}

// gone tells why the hop is dead; empty if it is not. What nobody knows yet is judged in the same way.
func (t *Track) gone(now time.Time) string {
	if t.refused >= refusals {
		return v1alpha1.HopReasonRefused
	}
	if len(t.pending) < deadAfter || now.Sub(t.pending[0]) < max(t.overdue(), silence) || now.Sub(t.pending[deadAfter-1]) < t.overdue() {
		return ""
	}
	return v1alpha1.HopReasonNoAnswer
}

// breach names the bound that has been broken long enough. Losses are counted over a window, that is long enough.
func (t *Track) breach(now time.Time) string {
	reason := ""
	if t.answers > 0 {
		reason = t.bounds.breach(&t.est)
	}
	if reason == "" {
		t.breachSince = time.Time{}
		return ""
	}
	t.lookUntil = now.Add(lookFor)
	if t.breachSince.IsZero() {
		t.breachSince = now
	}
	if reason != v1alpha1.HopReasonLoss && now.Sub(t.breachSince) < breachFor {
		return ""
	}
	return reason
}

func (t *Track) die(now time.Time, reason string) {
	t.dead.fall(now)
	t.est, t.degradedBy = estimator{}, ""
	if t.state == v1alpha1.HopDegraded {
		t.degradedBy = t.reason
	}
	t.wellSince, t.breachSince, t.lookUntil, t.countUntil = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	t.enter(now, v1alpha1.HopDead, reason)
	t.next = now.Add(Interval)
}

func (t *Track) degrade(now time.Time, reason string) {
	t.degraded.fall(now)
	t.wellSince = time.Time{}
	t.enter(now, v1alpha1.HopDegraded, reason)
}

// mayReturn lets a dead hop come back after it has answered everything for a while.
func (t *Track) mayReturn(now time.Time, breach string) {
	if t.answers == 0 || len(t.pending) >= deadAfter {
		return
	}
	if t.wellSince.IsZero() {
		t.wellSince = now
	}
	if !t.dead.mayReturn(now, now.Sub(t.wellSince)) {
		return
	}
	t.dead.back(now)
	t.wellSince = time.Time{}
	switch {
	case breach != "":
		t.degrade(now, breach)
	case t.degradedBy != "":
		t.enter(now, v1alpha1.HopDegraded, t.degradedBy)
	default:
		t.enter(now, v1alpha1.HopHealthy, v1alpha1.HopReasonAnswers)
	}
}

// mayRecover lets a degraded hop come back after it has been well inside its bounds for a while.
func (t *Track) mayRecover(now time.Time) {
	if t.answers == 0 || t.refused > 0 || !t.bounds.well(&t.est) {
		t.wellSince = time.Time{}
		return
	}
	if t.wellSince.IsZero() {
		t.wellSince = now
	}
	if t.bounds.ripens(&t.est, now) == 0 && t.degraded.mayReturn(now, now.Sub(t.wellSince)) {
		t.degraded.back(now)
		t.enter(now, v1alpha1.HopHealthy, v1alpha1.HopReasonAnswers)
	}
}

func (t *Track) enter(now time.Time, state v1alpha1.HopState, reason string) {
	t.state, t.reason, t.since = state, reason, now
	t.answers = 0
}
