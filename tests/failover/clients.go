// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

// Sidecar makes the client with a sidecar.
func (b *Bench) Sidecar(ctx context.Context) error {
	if err := apply(ctx, b.Consumer, fmt.Sprintf(caller, sidecarName, "true")); err != nil {
		return err
	}
	if err := rolledOut(ctx, b.Consumer, Namespace, sidecarName); err != nil {
		return err
	}
	return b.answers(ctx, sidecarName, serviceHost)
}

// SidecarDown removes it.
func (b *Bench) SidecarDown(ctx context.Context) error {
	return gone(b.Consumer.Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: sidecarName}}))
}

// answers waits until every protocol is answered at a host.
func (b *Bench) answers(ctx context.Context, from, host string) error {
	return story.Eventually(ctx, readyWithin, host+" answers "+from, func(ctx context.Context) error {
		for _, p := range result.Protocols() {
			requests, err := b.send(ctx, from, p, host, 5, time.Second, time.Now())
			if err != nil {
				return err
			}
			for _, r := range requests {
				if r.Err != "" {
					return errors.New(r.Err)
				}
			}
		}
		return nil
	})
}

// usesFirst waits until requests take the first tunnel, but those that the calling cluster answers itself: what breaks has to be
// what they take. Envoy may leave a tunnel out that the prober calls healthy, for a minute or two after a case in which it
// was on its own.
func (b *Bench) usesFirst(ctx context.Context, from string) error {
	return story.Eventually(ctx, readyWithin, "requests take the tunnel "+tunnelFirst, func(ctx context.Context) error {
		requests, err := b.send(ctx, from, result.GET, serviceHost, 20, time.Second, time.Now())
		for _, r := range requests {
			switch {
			case r.Err != "":
				return errors.New(r.Err)
			case r.Tunnel != tunnelFirst && r.Cluster != b.Consumer.Name:
				return fmt.Errorf("one took the tunnel %s to %s", r.Tunnel, r.Cluster)
			}
		}
		return err
	})
}
