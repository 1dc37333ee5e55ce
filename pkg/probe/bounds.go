// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"math"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Bounds are what a hop may do to packets and still be healthy.
type Bounds struct {
	// RTT and Jitter are the largest acceptable round-trip time and its largest mean deviation; 0 for any.
	RTT, Jitter time.Duration
	// Loss is the largest acceptable share of lost handshakes, from 0 to 1; negative for any.
	Loss float64
}

// BoundsOf are the bounds that a service level sets; nil sets none.
func BoundsOf(sla *v1alpha1.SLA) Bounds {
	b := Bounds{Loss: -1}
	if sla == nil {
		return b
	}
	if sla.LatencyMs != nil {
		b.RTT = time.Duration(*sla.LatencyMs) * time.Millisecond
	}
	if sla.JitterMs != nil {
		b.Jitter = time.Duration(*sla.JitterMs) * time.Millisecond
	}
	if sla.LossPercent != nil {
		b.Loss = *sla.LossPercent / 100
	}
	return b
}

// breach names the first bound that the estimate does not keep; empty if it keeps all.
func (b Bounds) breach(e *estimator) string {
	switch {
	case b.RTT > 0 && e.rtt() > b.RTT:
		return v1alpha1.HopReasonLatency
	case b.Jitter > 0 && e.boundedJitter() > b.Jitter:
		return v1alpha1.HopReasonJitter
	case b.lossBreach(e):
		return v1alpha1.HopReasonLoss
	}
	return ""
}

// lossBreach: so many losses would be rare if the hop kept its bound. One loss alone proves nothing.
func (b Bounds) lossBreach(e *estimator) bool {
	n, lost := e.counts()
	return b.manyLost(e) && lost >= minLosses && tail(n, lost, b.Loss) < rareEnough
}

// manyLost: more than the bound allows among so many, be it by chance.
func (b Bounds) manyLost(e *estimator) bool {
	n, lost := e.counts()
	return b.Loss >= 0 && float64(lost) > b.Loss*float64(n)
}

// well tells whether the estimate is so far inside all bounds that the hop may return: not just inside.
func (b Bounds) well(e *estimator) bool {
	inside := func(v, bound time.Duration) bool {
		return bound <= 0 || float64(v) <= returnShare*float64(bound)
	}
	return inside(e.rtt(), b.RTT) && inside(e.boundedJitter(), b.Jitter) && (b.Loss < 0 || e.loss() <= returnShare*b.Loss)
}

// ripens is how long it has to be measured yet to say that all bounds are kept: losses and jitter come now and then, so
// little that is measured shows none.
func (b Bounds) ripens(e *estimator, now time.Time) time.Duration {
	switch {
	case b.Loss < 0 && b.Jitter <= 0:
		return 0
	case e.began.IsZero():
		return lossWindow
	}
	return max(0, lossWindow-now.Sub(e.began))
}

// mostDeviation is what one deviation counts at most.
func (b Bounds) mostDeviation() time.Duration {
	if b.Jitter <= 0 {
		return math.MaxInt64
	}
	return mostDeviation * b.Jitter
}

// odd tells whether one answer by itself gives reason to look closer.
func (b Bounds) odd(rtt, deviation time.Duration) bool {
	return (b.RTT > 0 && rtt > b.RTT) || (b.Jitter > 0 && deviation > b.Jitter)
}
