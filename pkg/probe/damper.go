// SPDX-License-Identifier: Apache-2.0

package probe

import "time"

const (
	// flapWindow is how long a hop must have stayed after a return for the next fall to count as the first one.
	flapWindow = 5 * time.Minute

	// A hop returns after a stable time, which grows with every fall that comes soon after a return.
	deadHold        = 5 * time.Second
	deadGrowth      = 2
	maxDeadHold     = 2 * time.Minute
	degradedHold    = 10 * time.Second
	degradedGrowth  = 6
	maxDegradedHold = flapWindow
)

// damper says how long a hop must be well before it returns.
type damper struct {
	first, most time.Duration
	growth      int

	falls    int // falls soon after a return, in a row
	returned time.Time
}

// fall notes that the hop left.
func (d *damper) fall(now time.Time) {
	if !d.returned.IsZero() && now.Sub(d.returned) < flapWindow {
		d.falls++
		return
	}
	d.falls = 0
}

func (d *damper) back(now time.Time) { d.returned = now }

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
