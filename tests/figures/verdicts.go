// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

const (
	deadTunnel = "business"
	deadPolicy = "sd-wan-priority-high"
	deadPort   = "31111"
	// waysInEnvoy is what names of the policy's paths have in common: long ones are cut.
	waysInEnvoy = "sd-wan-priority-h"
	manyWithin  = 15 * time.Minute
	// backWithin is more than a tunnel that has died several times stays away.
	backWithin = 3 * time.Minute
	deadWithin = time.Minute
)

// verdicts exports so many services at once, of which some have a TCP port and with it a path of their own, and measures how
// long it takes from the prober's verdict on a tunnel, by the controller's log, until every path of every egress gateway in
// the consumer's cluster has another tunnel first.
func verdicts(ctx context.Context, env *story.Env, services, tcp, runs int) ([]time.Duration, error) {
	if err := exportMany(ctx, env, services, tcp); err != nil {
		return nil, err
	}
	var out []time.Duration
	for range runs {
		took, err := verdict(ctx, env)
		if err != nil {
			return nil, errors.Join(err, env.WAN.Heal(context.WithoutCancel(ctx)))
		}
		out = append(out, took)
	}
	return out, nil
}

func exportMany(ctx context.Context, env *story.Env, services, tcp int) error {
	for i := range services {
		service, export := exported(fmt.Sprintf("many-%d", i))
		if i < tcp {
			service.Spec.Ports = []corev1.ServicePort{{Name: "tcp", Port: 8080}}
		}
		for _, o := range []client.Object{service, export} {
			if err := env.Exporter.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
		}
	}
	return story.Eventually(ctx, manyWithin, "all of them imported", func(ctx context.Context) error {
		var list mcs.ServiceImportList
		if err := env.Consumer.List(ctx, &list, client.InNamespace(story.NamespaceSidecar)); err != nil {
			return err
		}
		ready := 0
		for _, i := range list.Items {
			if strings.HasPrefix(i.Name, "many-") && meta.IsStatusConditionTrue(i.Status.Conditions, string(mcs.ServiceImportConditionReady)) {
				ready++
			}
		}
		if ready < services {
			return fmt.Errorf("%d of %d", ready, services)
		}
		return first(ctx, env, true, tcp+1)
	})
}

// verdict has the tunnel refuse connections, and healed again.
func verdict(ctx context.Context, env *story.Env) (time.Duration, error) {
	if err := story.Eventually(ctx, backWithin, "the tunnel is first", func(ctx context.Context) error { return first(ctx, env, true, 1) }); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := env.WAN.SetState(ctx, deadTunnel, "refused"); err != nil {
		return 0, err
	}
	if err := story.Eventually(ctx, deadWithin, "another tunnel is first", func(ctx context.Context) error { return first(ctx, env, false, 1) }); err != nil {
		return 0, err
	}
	live := time.Now()
	judged, err := judgedAt(ctx, env.Consumer, start)
	return live.Sub(judged), errors.Join(err, env.WAN.Heal(ctx))
}

// first tells whether in every egress gateway the paths of the policy, so many at least, have its tunnel first, or another.
func first(ctx context.Context, env *story.Env, want bool, paths int) error {
	pods, err := env.Consumer.ReadyPods(ctx, v1alpha1.Namespace, client.MatchingLabels{v1alpha1.LabelGateway: v1alpha1.GatewayEgress})
	if err != nil || len(pods) == 0 {
		return fmt.Errorf("no egress gateway is ready: %w", err)
	}
	for i := range pods {
		out, err := env.Consumer.Exec(ctx, &pods[i], "istio-proxy", "pilot-agent", "request", "GET", "clusters")
		if err != nil {
			return err
		}
		ways := firstByPath(out)
		for path, port := range ways {
			if (port == deadPort) != want {
				return fmt.Errorf("%s: port %s is first on %s", pods[i].Name, port, path)
			}
		}
		if len(ways) < paths {
			return fmt.Errorf("%s: %d paths, want %d", pods[i].Name, len(ways), paths)
		}
	}
	return nil
}

// firstByPath reads from Envoy's /clusters, whose lines are cluster::address::priority::number, which port is first on each
// path of the policy.
func firstByPath(clusters string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(clusters) {
		fields := strings.Split(strings.TrimSpace(line), "::")
		if len(fields) != 4 || fields[2] != "priority" || fields[3] != "0" || !strings.Contains(fields[0], waysInEnvoy) {
			continue
		}
		out[fields[0]] = fields[1][strings.LastIndex(fields[1], ":")+1:]
	}
	return out
}

// judgedAt reads from the controllers' logs when the first hop of the policy changed its state.
func judgedAt(ctx context.Context, c *story.Cluster, since time.Time) (time.Time, error) {
	pods, err := c.ReadyPods(ctx, v1alpha1.Namespace, client.MatchingLabels{"app": "mcw-controller"})
	if err != nil {
		return time.Time{}, err
	}
	var at time.Time
	for i := range pods {
		log, err := c.Logs(ctx, &pods[i], "controller", since)
		if err != nil {
			return time.Time{}, err
		}
		for line := range bytes.Lines(log) {
			var entry struct {
				Time               time.Time
				Msg, Policy, State string
			}
			if json.Unmarshal(line, &entry) != nil || entry.Msg != "A hop changed its state" || entry.Policy != deadPolicy || entry.Time.Before(since) {
				continue
			}
			if at.IsZero() || entry.Time.Before(at) {
				at = entry.Time
			}
		}
	}
	if at.IsZero() {
		return at, fmt.Errorf("no controller of %s says that a hop changed its state", c.Name)
	}
	return at, nil
}
