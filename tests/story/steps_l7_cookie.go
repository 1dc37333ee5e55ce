// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

func proveCookie(ctx context.Context, e *Env) (err error) {
	if err := e.Exporter.ApplyFile(ctx, e.sample(sampleV1)); err != nil {
		return err
	}
	for _, f := range []string{sampleV2, sampleCookie} {
		if err := e.Consumer.ApplyFile(ctx, e.sample(f)); err != nil {
			return err
		}
	}
	defer func() {
		err = errors.Join(err, e.Consumer.DeleteFile(context.WithoutCancel(ctx), e.sample(sampleCookie)))
	}()
	if err := e.Consumer.waitPods(ctx, NamespaceSidecar, "payment-v2"); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespaceSidecar)
	if err != nil {
		return err
	}
	for _, ask := range []struct{ cookie, pod string }{{"user=test", "payment-v2-"}, {"a=b;user=test;c=d", "payment-v2-"}, {"user=other", "payment-"}} {
		var a *Answer
		if err := Eventually(ctx, patience, "an answer for cookie "+ask.cookie, func(ctx context.Context) (err error) {
			if a, err = c.Get(ctx, PaymentURL, "-H", "cookie: "+ask.cookie); err != nil {
				return err
			}
			if here := strings.HasPrefix(a.Pod, "payment-v2-"); !strings.HasPrefix(a.Pod, ask.pod) || here != (ask.pod == "payment-v2-") {
				return fmt.Errorf("answered by %s", a.Pod)
			}
			return nil
		}); err != nil {
			return err
		}
		e.Say("cookie %-18s answered by %s %s", ask.cookie, a.Pod, a.Cluster)
	}
	if e.WAN == nil {
		return nil
	}
	if err := e.provesTunnel(ctx, NamespaceSidecar, wayHigh(), "GET", PaymentURL, "-H", "cookie: user=other"); err != nil {
		return err
	}
	used, err := e.used(ctx, func(ctx context.Context) error {
		_, err := c.Large(ctx, largeRequests, PaymentURL, "-H", "cookie: user=test")
		return err
	})
	if err != nil {
		return err
	}
	e.Say("cookie user=test, counted: %s", used)
	return used.notBeside(Way{}, sent{n: largeRequests, each: largeBytes})
}
