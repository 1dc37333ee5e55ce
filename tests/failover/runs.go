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
	Timing
	// Protocols are those that it goes with.
	Protocols []result.Protocol
	// Plain sends the same load the plain way beside it.
	Plain bool
	// Cases are the names of those that are played; nil for all.
	Cases []string
}

// Plays tells whether a case belongs to the run.
func (r Run) Plays(name string) bool { return r.Cases == nil || slices.Contains(r.Cases, name) }

// Runs are those of the report: what bounds are for, 200 requests a second that may be repeated, and every protocol at
// once. Two cores carry no more beside three clusters.
func Runs() []Run {
	const long = "blackhole"
	var bars []string
	for _, b := range result.Bars() {
		if b.Bounds() && b.Case != long {
			bars = append(bars, b.Case)
		}
	}
	loaded := Timing{Calm: 10 * time.Second, Broken: 75 * time.Second, After: 20 * time.Second, GETRate: 160, Rate: 40}
	repeatable := []result.Protocol{result.GET, result.H2}
	lasting := loaded
	lasting.Broken = 3 * time.Minute
	return []Run{
		{Name: "bars", Title: "Under load", Cases: bars, Timing: loaded, Protocols: repeatable},
		{Name: "long", Title: "For three minutes", Cases: []string{long}, Timing: lasting, Protocols: repeatable},
		{
			Name: "plain", Title: "Beside the plain way", Plain: true, Protocols: result.Protocols(),
			Timing: Timing{Calm: 4 * time.Second, Broken: 16 * time.Second, After: 8 * time.Second, GETRate: 50, Rate: 10},
		},
	}
}
