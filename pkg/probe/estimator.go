// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"math"
	"slices"
	"time"
)

const (
	// rttSamples are the answers whose median is the round-trip time: a step shows after five of them, and four outliers
	// do not show.
	rttSamples = 9
	// jitterGain is the weight of a new deviation in the jitter (RFC 3550, section 6.4.1 and appendix A.8).
	jitterGain = 1.0 / 16
	// lossWindow is how far back losses count.
	lossWindow = 30 * time.Second
	// minLosses and rareEnough decide when losses are a breach: so many lost handshakes, or more, among so many would
	// come by chance with a probability less than rareEnough if the hop kept its bound.
	minLosses  = 2
	rareEnough = 0.002
	// mostDeviation times the bound is what one deviation counts at most: one late answer makes two, which alone hold the
	// jitter beyond its bound for less than breachFor as long as it was below 60 % of it.
	mostDeviation = 6
	// returnShare of a bound is where a degraded hop is well again.
	returnShare = 0.8
)

// estimator makes figures of answers. Its zero value knows nothing.
type estimator struct {
	last    []time.Duration // the last answers' round-trip times, oldest first
	average float64         // of the deviation of one round trip from the one before, in nanoseconds
	bounded float64         // the same, with no deviation above the most that counts against the bound
	median  time.Duration
	began   time.Time // the first attempt; anew when nothing was tried for a while, or a dead hop fails again
	window  []attempt
	lost    int // among window
}

// attempt is one handshake in the loss window.
type attempt struct {
	at   time.Time
	lost bool
}

// answered takes one round trip and returns how far it is from the one before, of which no more than most counts against a
// bound.
func (e *estimator) answered(at time.Time, rtt, most time.Duration) (deviation time.Duration) {
	if n := len(e.last); n > 0 {
		deviation = (rtt - e.last[n-1]).Abs()
		e.average += (float64(deviation) - e.average) * jitterGain
		e.bounded += (float64(min(deviation, most)) - e.bounded) * jitterGain
	}
	if len(e.last) == rttSamples {
		e.last = slices.Delete(e.last, 0, 1)
	}
	e.last = append(e.last, rtt)
	e.median = slices.Sorted(slices.Values(e.last))[len(e.last)/2]
	e.count(at, false)
	return deviation
}

// lostOne takes a handshake of which a packet was lost.
func (e *estimator) lostOne(at time.Time) { e.count(at, true) }

func (e *estimator) count(at time.Time, lost bool) {
	e.expire(at)
	if e.began.IsZero() {
		e.began = at
	}
	e.window = append(e.window, attempt{at, lost})
	if lost {
		e.lost++
	}
}

// expire drops what has left the loss window.
func (e *estimator) expire(now time.Time) {
	old := 0
	for old < len(e.window) && now.Sub(e.window[old].at) >= lossWindow {
		if e.window[old].lost {
			e.lost--
		}
		old++
	}
	e.window = slices.Delete(e.window, 0, old)
	if len(e.window) == 0 {
		e.began = time.Time{}
	}
}

// rtt is the median of the last answers; 0 while there are none.
func (e *estimator) rtt() time.Duration { return e.median }

func (e *estimator) jitter() time.Duration { return time.Duration(e.average) }

// boundedJitter is what a bound is compared with.
func (e *estimator) boundedJitter() time.Duration { return time.Duration(e.bounded) }

// counts are the handshakes in the loss window and how many of them were lost.
func (e *estimator) counts() (n, lost int) { return len(e.window), e.lost }

// loss is the share of lost handshakes in the loss window.
func (e *estimator) loss() float64 {
	n, lost := e.counts()
	if n == 0 {
		return 0
	}
	return float64(lost) / float64(n)
}

// tail is the probability of k or more losses among n handshakes if each is lost with probability p.
func tail(n, k int, p float64) float64 {
	switch {
	case k <= 0 || p >= 1:
		return 1
	case p <= 0:
		return 0
	}
	below := 0.0
	for i := range k {
		below += math.Exp(logChoose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return max(0, 1-below)
}

func logChoose(n, k int) float64 {
	lg := func(x int) float64 {
		v, _ := math.Lgamma(float64(x) + 1)
		return v
	}
	return lg(n) - lg(k) - lg(n-k)
}
