// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// End takes the exports away.
func End() []Step {
	return []Step{{Name: "unexport", Title: "The service owner unexports: the import, its name and everything of ours for it go, in both clusters", Run: unexport}}
}

// Again exports once more, for who wants to try more.
func Again() []Step {
	return []Step{{Name: "export-again", Title: "It is all exported again, to be tried", Run: exportAgain}}
}

// goneTime is how long it may take until nothing is left of an export.
const goneTime = patience

func unexport(ctx context.Context, e *Env) error {
	for _, c := range e.Clusters() {
		if err := c.resolves(ctx, paymentHost); err != nil {
			return fmt.Errorf("%s before it is taken away: %w", c.Name, err)
		}
	}
	start := time.Now()
	for _, f := range []string{sampleExport, sampleDB} {
		if err := e.Exporter.DeleteFile(ctx, e.sample(f)); err != nil {
			return err
		}
	}
	if err := e.waitGone(ctx, "payment", "db"); err != nil {
		return err
	}
	if err := e.inEach(func(_ int, c *Cluster) error {
		return Eventually(ctx, goneTime, "the paths of the imports gone in "+c.Name, c.pathsGone)
	}); err != nil {
		return err
	}
	e.Say("%s later neither cluster has an object of payment or db left, of %d kinds, in any namespace", time.Since(start).Round(100*time.Millisecond), len(writtenKinds()))
	return e.namesGone(ctx)
}

// waitGone waits until nothing is left of services in both clusters.
func (e *Env) waitGone(ctx context.Context, names ...string) error {
	return e.inEach(func(_ int, c *Cluster) error {
		for _, name := range names {
			if err := Eventually(ctx, goneTime, fmt.Sprintf("secure/%s gone in %s", name, c.Name), func(ctx context.Context) error {
				return c.gone(ctx, "secure", name)
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// namesGone: neither the clients nor anything in the exporting cluster finds the names any more.
func (e *Env) namesGone(ctx context.Context) error {
	for _, host := range []string{paymentHost, dbHost} {
		if err := e.inEach(func(_ int, c *Cluster) error {
			return Eventually(ctx, goneTime, host+" gone in "+c.Name, func(ctx context.Context) error {
				if c.resolves(ctx, host) == nil {
					return errors.New("it still resolves")
				}
				return nil
			})
		}); err != nil {
			return err
		}
	}
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		var text string
		if err := Eventually(ctx, goneTime, "no answer to the client in "+ns, func(ctx context.Context) error {
			code, said, err := c.Status(ctx, PaymentURL)
			if text = said; err == nil && code != 0 {
				err = fmt.Errorf("HTTP %d %s", code, said)
			}
			return err
		}); err != nil {
			return err
		}
		e.Say("client in %s, GET %s: %s", ns, PaymentURL, text)
	}
	e.Say("neither %s nor %s resolves in %s or %s", paymentHost, dbHost, e.Consumer.Name, e.Exporter.Name)
	return nil
}

// resolves asks the cluster's DNS from the egress gateway, which every cluster has.
func (c *Cluster) resolves(ctx context.Context, host string) error {
	pods, err := c.ReadyPods(ctx, mcw.Namespace, client.MatchingLabels{mcw.LabelGateway: mcw.GatewayEgress})
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("no ready egress gateway in %s", c.Name)
	}
	_, err = c.Exec(ctx, &pods[0], "istio-proxy", "getent", "hosts", host)
	return err
}

func exportAgain(ctx context.Context, e *Env) error {
	if err := e.Exporter.applyBackends(ctx, e.sample(sampleExport), e.sample(sampleDB)); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	a, err := answered(ctx, c, PaymentURL)
	if err != nil {
		return err
	}
	e.Say("client in %s, GET %s: answered by pod %s of %s, over port %s", NamespacePlain, PaymentURL, a.Pod, a.Cluster, a.Headers.Get(mcw.HeaderWANPort))
	return nil
}
