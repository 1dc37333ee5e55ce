// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

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
