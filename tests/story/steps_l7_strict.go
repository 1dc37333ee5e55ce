// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// proveStrict has every other tunnel break in every way, one after the other and together.
func proveStrict(ctx context.Context, e *Env) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := c.answers(ctx, 200, PaymentURL+"backup"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
	var used usage
	report, err := c.underLoad(ctx, PaymentURL+"backup", 50, func(ctx context.Context) (err error) {
		used, err = e.used(ctx, e.breakAllButBackup)
		return err
	})
	if err != nil {
		return err
	}
	e.Say("client in %s, GET %sbackup: %s; counted: %s", NamespacePlain, PaymentURL, report, used)
	// The feed crosses the default policy's tunnel, and keepalives all of them.
	if others := used.others(wayBackup().Tunnel); others >= used.on(wayBackup().Tunnel)/8 {
		return fmt.Errorf("other tunnels carried %d bytes; all requests belong on %s (%s)", others, wayBackup(), used)
	}
	return nil
}

// breakAllButBackup breaks every tunnel but the backup's, and waits after each that the load is still on that one.
func (e *Env) breakAllButBackup(ctx context.Context) error {
	for _, broken := range [][2]string{
		{wayHigh().Tunnel, "refused"}, {wayLow().Tunnel, "blackhole"}, {"internet", "refused"}, {wayHigh().Tunnel, "blackhole"}, {wayLow().Tunnel, "up"}, {wayLow().Tunnel, "refused"},
	} {
		if err := e.WAN.SetState(ctx, broken[0], broken[1]); err != nil {
			return err
		}
		if _, err := e.loadIsOn(ctx, wayBackup().Tunnel); err != nil {
			return err
		}
	}
	return nil
}

// proveStrictDead: large requests, so that the counters tell them from the feed.
func proveStrictDead(ctx context.Context, e *Env) (err error) {
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	for _, state := range []string{"refused", "blackhole"} {
		if err := e.WAN.SetState(ctx, wayBackup().Tunnel, state); err != nil {
			return err
		}
		answered, used := "", usage(nil)
		used, err = e.used(ctx, func(ctx context.Context) (err error) {
			answered, err = c.Run(ctx, "sh", "-c", fmt.Sprintf(
				`fill=$(head -c %d /dev/zero | tr '\0' X); for i in $(seq %d); do curl -s --max-time 1 -o /dev/null -w '%%{http_code} ' -H "x-fill: $fill" %sbackup & done; wait`,
				largeBytes, largeRequests, PaymentURL))
			return err
		})
		if err = errors.Join(err, e.WAN.SetState(ctx, wayBackup().Tunnel, "up")); err != nil {
			return err
		}
		what := sent{n: largeRequests, each: largeBytes}
		if err := used.notBeside(wayBackup(), what); err != nil {
			return fmt.Errorf("%s %s: %w", wayBackup().Tunnel, breaks(state), err)
		}
		if strings.Contains(answered, "200") {
			return fmt.Errorf("%s %s, and requests were answered: %s", wayBackup().Tunnel, breaks(state), answered)
		}
		e.Say("%s %s: client in %s, GET %sbackup, %s, answered with %s; counted: %s", wayBackup().Tunnel, breaks(state), NamespacePlain, PaymentURL, what, strings.TrimSpace(answered), used)
	}
	return c.answers(ctx, 200, PaymentURL+"backup")
}
