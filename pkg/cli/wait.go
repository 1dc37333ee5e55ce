// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"
)

// notNegative is the value of --timeout: a negative one is a mistake that has to show before anything is written.
type notNegative time.Duration

func (d *notNegative) String() string { return time.Duration(*d).String() }
func (d *notNegative) Type() string   { return "duration" }

// Set implements pflag.Value.
func (d *notNegative) Set(s string) error {
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return err
	}
	if parsed < 0 {
		return errors.New("must not be negative")
	}
	*d = notNegative(parsed)
	return nil
}

// addTimeout adds --timeout to a command that waits.
func addTimeout(cmd *cobra.Command, value *time.Duration, standard time.Duration, usage string) {
	*value = standard
	cmd.Flags().Var((*notNegative)(value), "timeout", usage)
}

// until polls check until it says done. At the deadline it returns the last thing check was waiting for. An error of
// check ends the wait only when it repeats until the deadline: API servers restart.
func (a *app) until(ctx context.Context, timeout time.Duration, check func(context.Context) (done bool, waitingFor string, err error)) error {
	last := "nothing has been seen"
	err := wait.PollUntilContextTimeout(ctx, a.Poll, timeout, true, func(ctx context.Context) (bool, error) {
		done, waitingFor, err := check(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			last = err.Error()
		case err == nil && !done:
			last = waitingFor
		}
		return done && err == nil, nil
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %s", last)
	}
	return fmt.Errorf("not within %s: %s", timeout, last)
}
