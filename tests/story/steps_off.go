// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Off proves that the SD-WAN is the only way between the clusters: without it, nothing crosses.
func Off() []Step {
	return []Step{
		{Name: "sd-wan-off", Title: "The SD-WAN is turned off: nothing crosses; turned on again: all is as before", NeedsWAN: true, Run: turnOff},
	}
}

func turnOff(ctx context.Context, e *Env) (err error) {
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	direct, err := e.Exporter.backendURL(ctx)
	if err != nil {
		return err
	}
	ways := map[string]string{"by its name": PaymentURL, "by a pod's address": direct}
	for way, url := range ways {
		if err := Eventually(ctx, patience, "payment "+way, answers(c, url, true)); err != nil {
			return err
		}
	}
	if err := e.WAN.Stop(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.WAN.Start(context.WithoutCancel(ctx))) }()
	for way, url := range ways {
		if err := answers(c, url, false)(ctx); err != nil {
			return fmt.Errorf("payment %s while the SD-WAN is off: %w", way, err)
		}
		e.Say("off: payment %s: no answer", way)
	}
	if err := e.WAN.Start(ctx); err != nil {
		return err
	}
	for way, url := range ways {
		start := time.Now()
		if err := Eventually(ctx, patience, "payment "+way, answers(c, url, true)); err != nil {
			return err
		}
		e.Say("on: payment %s: answered after %s", way, time.Since(start).Round(100*time.Millisecond))
	}
	return e.loadReturns(ctx, c)
}

// answers says whether a URL is answered, or is not, as it should be.
func answers(c *Client, url string, want bool) func(context.Context) error {
	return func(ctx context.Context) error {
		code, text, err := c.Status(ctx, url, "--connect-timeout", "3", "--max-time", "5")
		switch {
		case err != nil:
			return err
		case want && code != 200:
			return fmt.Errorf("status %d: %s", code, oneLine(text))
		case !want && code == 200:
			return errors.New("it was answered")
		}
		return nil
	}
}

// loadReturns waits until the policy's own tunnel is in use again.
func (e *Env) loadReturns(ctx context.Context, c *Client) error {
	load, err := c.StartLoad(ctx, PaymentURL, 50)
	if err != nil {
		return err
	}
	_, err = e.loadIsOn(ctx, wayHigh().Tunnel)
	_, stopErr := load.Stop(context.WithoutCancel(ctx))
	return errors.Join(err, stopErr)
}

// backendURL is a payment pod's own address: pod networks of the sandbox's clusters reach each other over the SD-WAN.
func (c *Cluster) backendURL(ctx context.Context) (string, error) {
	pods, err := c.ReadyPods(ctx, "secure", client.MatchingLabels{"app": "payment"})
	if err != nil {
		return "", err
	}
	if len(pods) == 0 {
		return "", fmt.Errorf("no ready payment pod in %s", c.Name)
	}
	return fmt.Sprintf("http://%s:8080/", pods[0].Status.PodIP), nil
}
