// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Sharing adds the consumer's cluster as a second exporter and takes it away again.
func Sharing() []Step {
	return []Step{
		{Name: "second-exporter", Title: "A second cluster exports payment: requests are shared by ready backends", Run: share},
		{Name: "one-exporter-again", Title: "It stops exporting: all requests go to the first again", Run: unshare},
	}
}

// shareRequests is how many requests the shares are counted over; with shares of 2:1 and round robin a share that is
// right stays within the tolerance.
const (
	shareRequests  = 150
	shareTolerance = 0.12
)

func share(ctx context.Context, e *Env) error {
	if err := e.Consumer.applyBackends(ctx, e.sample("02-payment.yaml")); err != nil {
		return err
	}
	replicas := map[*Cluster]int{e.Consumer: 1, e.Exporter: 2}
	if err := e.inEach(func(_ int, c *Cluster) error { return c.scale(ctx, "payment", replicas[c]) }); err != nil {
		return err
	}
	if err := e.Consumer.ApplyFile(ctx, e.sample(sampleExport)); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := Eventually(ctx, patience, "answers by "+e.Consumer.Name, func(ctx context.Context) error {
		got, err := c.Count(ctx, PaymentURL, 10)
		if err == nil && got[e.Consumer.Name] == 0 {
			err = fmt.Errorf("answers by cluster: %v", got)
		}
		return err
	}); err != nil {
		return err
	}
	want := map[string]float64{e.Exporter.Name: 2.0 / 3, e.Consumer.Name: 1.0 / 3}
	return Eventually(ctx, patience, "shares 2:1", func(ctx context.Context) error {
		got, err := c.Count(ctx, PaymentURL, shareRequests)
		if err != nil {
			return err
		}
		for cluster, share := range want {
			if d := float64(got[cluster])/shareRequests - share; d > shareTolerance || d < -shareTolerance {
				return fmt.Errorf("answers by cluster: %v", got)
			}
		}
		e.Say("client in %s, %d times GET %s: answered by %s %d, by %s %d (ready backends 2 and 1)", NamespacePlain, shareRequests, PaymentURL,
			e.Exporter.Name, got[e.Exporter.Name], e.Consumer.Name, got[e.Consumer.Name])
		return nil
	})
}

func unshare(ctx context.Context, e *Env) error {
	if err := e.Consumer.DeleteFile(ctx, e.sample(sampleExport)); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := Eventually(ctx, patience, "all requests at "+e.Exporter.Name, func(ctx context.Context) error {
		got, err := c.Count(ctx, PaymentURL, 30)
		if err != nil {
			return err
		}
		if got[e.Exporter.Name] != 30 {
			return fmt.Errorf("answers by cluster: %v", got)
		}
		return nil
	}); err != nil {
		return err
	}
	e.Say("client in %s, 30 times GET %s: all answered by %s", NamespacePlain, PaymentURL, e.Exporter.Name)
	return e.Consumer.DeleteFile(ctx, e.sample("02-payment.yaml"))
}

// scale sets a Deployment's replicas and waits until as many are available.
func (c *Cluster) scale(ctx context.Context, name string, replicas int) error {
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = "secure", name
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":`+strconv.Itoa(replicas)+`}}`))
	if err := c.Patch(ctx, d, patch); err != nil {
		return err
	}
	return c.available(ctx, d, replicas)
}

// available waits until so many pods of a Deployment are, and no others are left.
func (c *Cluster) available(ctx context.Context, d *appsv1.Deployment, replicas int) error {
	return Eventually(ctx, deployTime, fmt.Sprintf("%d replicas of %s in %s", replicas, d.Name, c.Name), func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return err
		}
		s := d.Status
		if s.ObservedGeneration < d.Generation || int(s.UpdatedReplicas) != replicas || int(s.AvailableReplicas) != replicas || int(s.Replicas) != replicas {
			return fmt.Errorf("%d of %d are available, %d are up to date", s.AvailableReplicas, s.Replicas, s.UpdatedReplicas)
		}
		return nil
	})
}
