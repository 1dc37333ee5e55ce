// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"strings"
)

func proveLimits(ctx context.Context, e *Env) error {
	if err := e.Consumer.ApplyFile(ctx, e.sample(sampleLimits)); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := c.answers(ctx, 504, PaymentURL+"delay/5s"); err != nil {
		return err
	}
	// Twenty at once: if they counted against the hop, it would be left out, and the rest would fail or move.
	codes, err := c.Run(ctx, "sh", "-c", fmt.Sprintf(
		`for i in $(seq 20); do curl -s -o /dev/null --max-time 20 -w '%%{http_code} ' %sdelay/5s & done; wait`, PaymentURL))
	if err != nil {
		return err
	}
	if strings.TrimSpace(codes) != strings.TrimSpace(strings.Repeat("504 ", 20)) {
		return fmt.Errorf("requests that take longer than they may are answered with %s, want 504", codes)
	}
	e.Say("20 requests that would take 5 s are answered with 504")
	if e.WAN != nil {
		if err := e.provesTunnel(ctx, NamespacePlain, wayHigh(), "GET", PaymentURL+"delay/1ms"); err != nil {
			return err
		}
	}
	// What a client says is not heard: if it were, none would be answered.
	if err := c.answers(ctx, 200, PaymentURL+"delay/100ms", "-H", "x-mcw-timeout-ms: 1"); err != nil {
		return fmt.Errorf("with a client's own x-mcw-timeout-ms: %w", err)
	}
	out, err := c.Run(ctx, "curl", "-s", "--max-time", "10", PaymentURL+"status/503")
	if err != nil {
		return err
	}
	if !strings.Contains(out, `"X-Envoy-Attempt-Count":["3"]`) {
		return fmt.Errorf("a service that answers 503 was not asked three times: %s", out)
	}
	e.Say("503 is asked again twice, and then it is what the client gets")
	return nil
}
