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
	// Plain sends the same load the plain way beside it.
	Plain bool
	// Cases are the names of those that are played; nil for all.
	Cases []string
}

// Plays tells whether a case belongs to the run.
func (r Run) Plays(name string) bool { return r.Cases == nil || slices.Contains(r.Cases, name) }

// Runs are those of the report. Two cores carry three clusters and 180 requests a second, or half as many twice.
func Runs() []Run {
	const long = "blackhole"
	var bars []string
	for _, b := range result.Bars() {
		if b.Bounds() && b.Case != long {
			bars = append(bars, b.Case)
		}
	}
	loaded := Timing{Calm: 10 * time.Second, Broken: 75 * time.Second, After: 20 * time.Second, GETRate: 100, Rate: 20}
	lasting := loaded
	lasting.Broken = 3 * time.Minute
	return []Run{
		{Name: "bars", Title: "Under load", Cases: bars, Timing: loaded},
		{Name: "long", Title: "For three minutes", Cases: []string{long}, Timing: lasting},
		{
			Name: "plain", Title: "Beside the plain way", Plain: true,
			Timing: Timing{Calm: 4 * time.Second, Broken: 16 * time.Second, After: 8 * time.Second, GETRate: 50, Rate: 10},
		},
	}
}
