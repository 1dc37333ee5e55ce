// SPDX-License-Identifier: Apache-2.0

package probe

import "time"

const (
	// A hop returns after a stable time, which grows with every fall and shrinks again with the time that it stands. A
	// tunnel that dies again is found dead at once, so being careful is worth no more than a minute. A service level that
	// is broken again takes seconds to find, and a link around its bound must not move traffic more than once in five
	// minutes, whatever its rhythm: returns are that far apart at least.
	deadHold         = 5 * time.Second
	deadGrowth       = 2
	maxDeadHold      = time.Minute
	deadForgives     = 2 * time.Minute
	degradedHold     = 10 * time.Second
	degradedGrowth   = 6
	maxDegradedHold  = 5 * time.Minute
	degradedForgives = 5 * time.Minute
	degradedApart    = 5 * time.Minute
)

// damper says how long a hop must be well before it returns.
type damper struct {
	first, most time.Duration
	growth      int
	// forgives is how long a hop must stand for one fall to be forgotten.
	forgives time.Duration
	// apart is the least time between two returns; 0 for any.
	apart time.Duration

	falls    int // that are not forgotten
	returned time.Time
}

// fall notes that the hop left.
func (d *damper) fall(now time.Time) {
	if d.returned.IsZero() {
		return
	}
	d.falls = max(0, d.falls+1-int(now.Sub(d.returned)/d.forgives))
}

func (d *damper) back(now time.Time) { d.returned = now }

// mayReturn tells whether a hop that has been well for some time may return.
func (d *damper) mayReturn(now time.Time, wellFor time.Duration) bool {
	return wellFor >= d.hold() && (d.returned.IsZero() || now.Sub(d.returned) >= d.apart)
}

// left is how long it takes from now at least until a hop may return that is not well yet.
func (d *damper) left(now time.Time) time.Duration {
	if d.returned.IsZero() {
		return d.hold()
	}
	return max(d.hold(), d.returned.Add(d.apart).Sub(now))
}

// hold is the stable time that the next return takes.
func (d *damper) hold() time.Duration {
	hold := d.first
	for range d.falls {
		if hold = hold * time.Duration(d.growth); hold >= d.most {
			return d.most
		}
	}
	return hold
}
