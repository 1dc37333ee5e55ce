// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"
	"time"
)

// Falls make the next return slower, standing makes it quicker again.
func TestDamping(t *testing.T) {
	type fall struct{ stood, hold time.Duration }
	for name, tc := range map[string]struct {
		kind  damper
		falls []fall
	}{
		"dead within minutes": {
			damper{first: deadHold, most: maxDeadHold, growth: deadGrowth, forgives: deadForgives},
			[]fall{{0, 5 * time.Second}, {20 * time.Second, 10 * time.Second}, {20 * time.Second, 20 * time.Second}, {20 * time.Second, 40 * time.Second}, {20 * time.Second, time.Minute}, {time.Second, time.Minute}},
		},
		"two drills, some minutes apart": {
			damper{first: deadHold, most: maxDeadHold, growth: deadGrowth, forgives: deadForgives},
			[]fall{{0, 5 * time.Second}, {30 * time.Second, 10 * time.Second}, {4 * time.Minute, 5 * time.Second}, {30 * time.Second, 10 * time.Second}},
		},
		"dead once a day": {
			damper{first: deadHold, most: maxDeadHold, growth: deadGrowth, forgives: deadForgives},
			[]fall{{0, 5 * time.Second}, {24 * time.Hour, 5 * time.Second}, {24 * time.Hour, 5 * time.Second}},
		},
		"around its service level": {
			damper{first: degradedHold, most: maxDegradedHold, growth: degradedGrowth, forgives: degradedForgives},
			[]fall{{0, 10 * time.Second}, {20 * time.Second, time.Minute}, {20 * time.Second, 5 * time.Minute}, {20 * time.Second, 5 * time.Minute}},
		},
	} {
		now := time.Unix(1_700_000_000, 0)
		d := tc.kind
		for i, f := range tc.falls {
			now = now.Add(f.stood)
			if d.fall(now); d.hold() != f.hold {
				t.Errorf("%s: fall %d: returns after %s, want %s", name, i, d.hold(), f.hold)
			}
			now = now.Add(d.hold())
			d.back(now)
		}
	}
}
