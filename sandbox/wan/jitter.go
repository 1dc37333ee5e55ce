// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"math/rand/v2"
	"time"
)

// jitterStep is the shortest time between two independent values of jitter.
const jitterStep = 20 * time.Millisecond

// jitter is extra delay as a function of time: random values, uniform between 0 and a maximum, at regular times, and
// straight lines between them. A delay drawn for each packet would need reordering, or, with order kept, would hold all
// packets behind the slowest of late and so come close to the maximum at high packet rates.
type jitter struct {
	rng      *rand.Rand
	most     time.Duration // the maximum that from and to were drawn for
	interval int64         // number of the interval between from and to
	from, to time.Duration
}

// at returns the extra delay at a time, between 0 and most.
func (j *jitter) at(now, most time.Duration) time.Duration {
	// Twice the maximum: the delay then falls at most half as fast as time goes by, so order is kept.
	step := max(jitterStep, 2*most)
	interval := int64(now / step)
	switch {
	case most != j.most || interval > j.interval+1 || interval < j.interval:
		j.from, j.to = j.draw(most), j.draw(most)
	case interval == j.interval+1:
		j.from, j.to = j.to, j.draw(most)
	}
	j.most, j.interval = most, interval
	part := float64(now-time.Duration(interval)*step) / float64(step)
	return j.from + time.Duration(part*float64(j.to-j.from))
}

func (j *jitter) draw(most time.Duration) time.Duration {
	return time.Duration(j.rng.Float64() * float64(most))
}
