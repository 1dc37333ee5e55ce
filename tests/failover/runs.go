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

// Runs are those of the report: two cores carry either the full load, or all of it twice at a lower rate.
func Runs() []Run {
	held := []string{"controller-gone", "port"}
	for _, b := range result.Bars() {
		held = append(held, b.Case)
	}
	return []Run{
		{
			Name: "bars", Title: "Under full load", Cases: held,
			Timing: Timing{Calm: 10 * time.Second, Broken: 3 * time.Minute, After: 30 * time.Second, GETRate: 200, Rate: 10},
		},
		{
			Name: "plain", Title: "Beside the plain way", Plain: true,
			Timing: Timing{Calm: 5 * time.Second, Broken: 30 * time.Second, After: 20 * time.Second, GETRate: 50, Rate: 10},
		},
	}
}
