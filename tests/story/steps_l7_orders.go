// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The ways that only the fallbacks of proveOrders take; internet is that of the chart's policy default.
func wayVoice() Way    { return Way{"business", 31113} }
func wayInternet() Way { return Way{"internet", 31110} }

// proveOrders: rules choose policies, and each policy has an order of its own when tunnels break.
func proveOrders(ctx context.Context, e *Env) (err error) {
	rules := rulesForPayment(ruleOf("/payment", "sd-wan-priority-high"), ruleOf("/stats", "sd-wan-priority-low"), ruleOf("/voice", "voice"))
	rules.Object["spec"].(map[string]any)["http"].(map[string]any)["rules"].([]any)[0].(map[string]any)["matches"].([]any)[0].(map[string]any)["method"] = "GET"
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, e.WAN.Heal(ctx), client.IgnoreNotFound(e.Consumer.Delete(ctx, rules)), e.policiesAsPrepared(ctx))
	}()
	// Automatic takes the shortest latency first, and policies without one, such as default, last.
	if err := e.applySLA(ctx,
		map[string]int64{"sd-wan-priority-high": 300, "voice": 320, "sd-wan-priority-low": 340, "backup": 360},
		map[string][]any{"voice": {"sd-wan-priority-low", "default"}},
	); err != nil {
		return err
	}
	if err := e.Consumer.ApplyObject(ctx, rules); err != nil {
		return err
	}
	if err := e.Consumer.l7Condition(ctx, "ServiceImport", "Programmed", "True", ""); err != nil {
		return err
	}
	for _, broken := range []struct {
		business, other       string // states of the tunnels business and default
		payment, stats, voice Way
	}{
		{"up", "up", wayHigh(), wayLow(), wayVoice()},
		{"refused", "up", wayLow(), wayLow(), wayLow()},
		{"refused", "refused", wayBackup(), wayBackup(), wayInternet()},
		{"up", "refused", wayHigh(), wayHigh(), wayVoice()},
	} {
		if err := errors.Join(e.WAN.SetState(ctx, wayHigh().Tunnel, broken.business), e.WAN.SetState(ctx, wayLow().Tunnel, broken.other)); err != nil {
			return err
		}
		what := fmt.Sprintf("%s %s, %s %s", wayHigh().Tunnel, breaks(broken.business), wayLow().Tunnel, breaks(broken.other))
		e.Say("%s:", what)
		for path, way := range map[string]Way{"payment": broken.payment, "stats": broken.stats, "voice": broken.voice} {
			if err := e.provesTunnel(ctx, NamespacePlain, way, "GET", PaymentURL+path); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
	}
	return nil
}
