// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
)

// Run is how cases are played.
type Run struct {
	Name, Title string
	// Traffic lacks the host of the plain way, which is made when it is played.
	Traffic
	// Beside sends the same load the plain way beside it.
	Beside bool
	// Untimed holds it to the bars without their times, which are for 200 requests a second and nothing beside them.
	Untimed bool
	// AsInstalled plays it without what Up has set (Setup).
	AsInstalled bool
	// Cases are the names of those that are played; nil for all.
	Cases []string
}

// Plays tells whether a case belongs to the run.
func (r Run) Plays(name string) bool { return r.Cases == nil || slices.Contains(r.Cases, name) }

// Runs are those of the report: what bounds are for, 200 requests a second that may be repeated, and every protocol at
// once. Two cores carry no more beside three clusters.
func Runs() []Run {
	// What is faint or slow is not to be seen within seconds.
	const long, faint, slow = "blackhole", "loss-2", "oscillating"
	var bars, all []string
	for _, b := range result.Bars() {
		if b.Bounds() && b.Case != long {
			bars = append(bars, b.Case)
		}
	}
	for _, c := range Cases() {
		if c.Name != faint && c.Name != slow {
			all = append(all, c.Name)
		}
	}
	timing := func(calm, broken, after time.Duration, getRate, rate int) Timing {
		return Timing{Calm: calm * time.Second, Broken: broken * time.Second, After: after * time.Second, GETRate: getRate, Rate: rate}
	}
	loaded := Traffic{Timing: timing(10, 60, 35, 140, 30), Protocols: result.Repeatable(), Idle: true}
	lasting := Traffic{Timing: timing(10, 180, 35, 170, 10), Protocols: result.Protocols(), Idle: true}
	short := Traffic{Timing: timing(4, 16, 8, 50, 10), Protocols: result.Protocols(), Idle: true}
	sidecar := short
	sidecar.Sidecar = true
	return []Run{
		{Name: "bars", Title: "Under load", Cases: bars, Traffic: loaded},
		{Name: "long", Title: "For minutes", Cases: []string{long, faint, slow}, Traffic: lasting},
		{Name: "plain", Title: "Beside the plain way", Cases: all, Traffic: short, Beside: true, Untimed: true},
		{Name: "sidecar", Title: "From a client with a sidecar", Cases: []string{"refused", long, "cluster-gone"}, Traffic: sidecar, Untimed: true},
		{Name: "untuned", Title: "As installed", Cases: []string{"refused", long, "cluster-gone"}, Traffic: loaded, AsInstalled: true},
	}
}
