// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// End takes the export away.
func End() []Step {
	return []Step{{Name: "unexport", Title: "The service owner unexports: the import, its name and everything of ours for it go, in both clusters", Run: unexport}}
}

func unexport(ctx context.Context, e *Env) error {
	start := time.Now()
	for _, f := range []string{"03-export-payment.yaml", "04-db.yaml"} {
		if err := e.Exporter.DeleteFile(ctx, e.sample(f)); err != nil {
			return err
		}
	}
	for _, c := range e.Clusters() {
		for _, name := range []string{"payment", "db"} {
			if err := Eventually(ctx, time.Minute, fmt.Sprintf("secure/%s gone in %s", name, c.Name), func(ctx context.Context) error {
				return c.gone(ctx, "secure", name)
			}); err != nil {
				return err
			}
		}
		e.Say("%s: nothing is left of it after %s", c.Name, time.Since(start).Round(100*time.Millisecond))
	}
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		if err := Eventually(ctx, time.Minute, "the name gone", func(ctx context.Context) error {
			code, body, err := c.Status(ctx, PaymentURL)
			if err != nil {
				return err
			}
			if code != 0 {
				return fmt.Errorf("HTTP %d %s", code, body)
			}
			if out, err := c.Run(ctx, "getent", "hosts", paymentHost); err == nil {
				return errors.New("it still resolves: " + oneLine(out))
			}
			return nil
		}); err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
	}
	e.Say("%s no longer resolves", paymentHost)
	return nil
}
