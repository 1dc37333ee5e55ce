// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/l7mp/mc-wan/tests/story"
)

const (
	// idleShare of the processors is idle when nothing is left of what was before: three clusters and a hundred imports that
	// nobody calls leave three quarters of two cores.
	idleShare = 0.5
	// idleOver is how long that has to be so.
	idleOver    = 3 * time.Second
	quietWithin = 5 * time.Minute
)

// quiet waits until the machine has nothing else to do: what a case does to requests must not be the end of its setup.
func quiet(ctx context.Context) error {
	return story.Eventually(ctx, quietWithin, "an idle machine", func(ctx context.Context) error {
		before, err := readCPU()
		if err != nil {
			return err
		}
		if err := story.Pause(ctx, idleOver); err != nil {
			return err
		}
		after, err := readCPU()
		if err != nil {
			return err
		}
		if share := after.idleSince(before); share < idleShare {
			return fmt.Errorf("%.0f %% of the processors are idle", 100*share)
		}
		return nil
	})
}

// cpuTime is what the processors have done so far, in ticks.
type cpuTime struct{ idle, all uint64 }

func (c cpuTime) idleSince(before cpuTime) float64 {
	if c.all == before.all {
		return 0
	}
	return float64(c.idle-before.idle) / float64(c.all-before.all)
}

func readCPU() (cpuTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTime{}, err
	}
	return parseCPU(string(text))
}

// parseCPU reads the first line of /proc/stat (proc(5)): user, nice, system, idle, iowait and more.
func parseCPU(text string) (cpuTime, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[0] != "cpu" {
		return cpuTime{}, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var out cpuTime
	// The last two, guest times, are in the first two already.
	for i, f := range fields[1:min(len(fields), 9)] {
		n := uint64(0)
		if _, err := fmt.Sscan(f, &n); err != nil {
			return cpuTime{}, fmt.Errorf("/proc/stat begins with %q: %w", line, err)
		}
		out.all += n
		if i == 3 || i == 4 {
			out.idle += n
		}
	}
	return out, nil
}
