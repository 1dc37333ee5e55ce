// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"time"
)

// strictWatch reads the SD-WAN's counters again and again, without a gap. In a window less than a single request may be on
// any way but the strict one, and in no two windows in a row: what a request has is on its way within one.
type strictWatch struct {
	wan                *WAN
	between            gateways
	last               Counters
	window, windowPrev usage
	total              usage
}

func (e *Env) watchStrict(ctx context.Context) (*strictWatch, error) {
	between, err := e.gateways(ctx)
	if err != nil {
		return nil, err
	}
	last, err := e.WAN.Counters(ctx)
	return &strictWatch{wan: e.WAN, between: between, last: last, total: usage{}}, err
}

// look lets a window pass and checks it.
func (w *strictWatch) look(ctx context.Context) error {
	if err := Pause(ctx, loadWindow); err != nil {
		return err
	}
	now, err := w.wan.Counters(ctx)
	if err != nil {
		return err
	}
	w.windowPrev, w.window = w.window, w.between.between(now.Since(w.last))
	w.last = now
	w.total = w.total.plus(w.window)
	return w.window.plus(w.windowPrev).notBeside(wayBackup(), sent{n: 1, each: largeBytes})
}

// until looks until something is so.
func (w *strictWatch) until(ctx context.Context, what string, is func(context.Context) error) error {
	for start := time.Now(); ; {
		if err := w.look(ctx); err != nil {
			return err
		}
		err := is(ctx)
		if err == nil {
			return nil
		}
		if time.Since(start) > moveTime {
			return fmt.Errorf("%s within %s: %w", what, moveTime, err)
		}
	}
}

// carries says whether the strict way carried requests in the last window.
func (w *strictWatch) carries(context.Context) error {
	if got := w.window[wayBackup()].out; got < strictRate*largeBytes {
		return fmt.Errorf("it carried %d bytes in %s (%s)", got, loadWindow, w.window)
	}
	return nil
}
