// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// answeredByRules is the metric of the requests that rules have answered themselves.
const answeredByRules = "envoy_http_rq_direct_response{"

// proveCounted: the count of denied requests grows by as many as were denied.
func proveCounted(ctx context.Context, e *Env) (err error) {
	if err := e.Consumer.ApplyFile(ctx, e.sample(sampleRules)); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, e.Consumer.DeleteFile(context.WithoutCancel(ctx), e.sample(sampleRules)))
	}()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	const more = 10
	if err := c.answersAll(ctx, more, 403, PaymentURL); err != nil {
		return err
	}
	before, err := c.countAnsweredByRules(ctx)
	if err != nil {
		return err
	}
	for range more {
		if code, body, err := c.Status(ctx, PaymentURL); err != nil || code != 403 {
			return fmt.Errorf("HTTP %d %s: %w", code, body, err)
		}
	}
	// Envoy's workers hand their counts over every few seconds.
	return Eventually(ctx, patience, "the denied requests are counted", func(ctx context.Context) error {
		after, err := c.countAnsweredByRules(ctx)
		if err == nil && after < before+more {
			err = fmt.Errorf("%s...} went from %d to %d by %d denied requests", answeredByRules, before, after, more)
		}
		if err == nil {
			e.Say("%d denied requests, counted %d before and %d after", more, before, after)
		}
		return err
	})
}

// countAnsweredByRules asks the egress gateway's pods of the client's cluster, as Prometheus does.
func (c *Client) countAnsweredByRules(ctx context.Context) (int, error) {
	pods, err := c.cluster.ReadyPods(ctx, "mc-wan", client.MatchingLabels{"mcw.l7mp.io/gateway": "egress"})
	if err != nil {
		return 0, err
	}
	sum := 0
	for i := range pods {
		out, err := c.Run(ctx, "curl", "-sS", "--fail-with-body", "--max-time", "10", fmt.Sprintf("http://%s/stats/prometheus", net.JoinHostPort(pods[i].Status.PodIP, "15090")))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, answeredByRules) || !strings.Contains(line, `"outbound_`) {
				continue
			}
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, " "):]))
			if err != nil {
				return 0, fmt.Errorf("%s: %w", line, err)
			}
			sum += n
		}
	}
	return sum, nil
}
