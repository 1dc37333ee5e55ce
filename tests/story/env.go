// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Env is where the story plays.
type Env struct {
	// Consumer is the cluster that imports, Exporter the one that exports.
	Consumer, Exporter *Cluster
	// WAN is the sandbox's SD-WAN; nil where the clusters do not run in the sandbox.
	WAN *WAN
	// Samples is the folder samples/ of the repository.
	Samples string
	// Out takes the story's lines.
	Out io.Writer
	// Busy says that the machine does a lot beside the story: see ApplyPoliciesForBusyMachines.
	Busy bool
}

// Step is one thing a user does and what they must see.
type Step struct {
	// Name is a short-hyphenated name for tests.
	Name string
	// Title says in a sentence what is done.
	Title string
	// NeedsWAN is set on steps that cannot be told true without the SD-WAN's counters or switches.
	NeedsWAN bool
	Run      func(ctx context.Context, e *Env) error
}

// Say writes one line of the story.
func (e *Env) Say(format string, args ...any) {
	fmt.Fprintf(e.Out, "    "+format+"\n", args...)
}

// Play runs the steps in order and stops at the first that fails.
func (e *Env) Play(ctx context.Context, steps []Step) error {
	for i, s := range steps {
		fmt.Fprintf(e.Out, "%2d. %s\n", i+1, s.Title)
		if s.NeedsWAN && e.WAN == nil {
			e.Say("left out: these clusters do not run in the sandbox")
			continue
		}
		start := time.Now()
		if err := s.Run(ctx, e); err != nil {
			return fmt.Errorf("step %q: %w", s.Name, err)
		}
		e.Say("(%s)", time.Since(start).Round(100*time.Millisecond))
	}
	return nil
}

// Clusters returns both clusters.
func (e *Env) Clusters() []*Cluster { return []*Cluster{e.Consumer, e.Exporter} }

func (e *Env) sample(name string) string { return filepath.Join(e.Samples, name) }

// patience bounds what a change takes to have its effect everywhere, on a machine that does a lot beside it. What it may take
// on one that has nothing else to do is measured by tests/figures and tests/failover.
const patience = 3 * time.Minute

// Eventually polls until check returns nil; when the time is over, the error is what check said last.
func Eventually(ctx context.Context, within time.Duration, what string, check func(ctx context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, within, true, func(ctx context.Context) (bool, error) {
		if err := check(ctx); err != nil {
			// a check that was cut short by the deadline says less than the one before it
			if last == nil || ctx.Err() == nil {
				last = err
			}
			return false, nil
		}
		return true, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%s within %s: %w", what, within, last)
	}
	return err
}

// oneLine folds text for a message.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Pause lets a stated time pass.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
