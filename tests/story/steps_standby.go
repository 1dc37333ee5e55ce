// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// gatewayWorkers is Envoy's worker threads in each gateway pod, the chart's default.
const gatewayWorkers = 2

// Standby keeps connections open over the tunnel that comes next, and has requests move onto them.
func Standby() []Step {
	return []Step{
		{Name: "standby", Title: "The operator keeps connections open over the next tunnel; requests that leave a dead one find them", NeedsWAN: true, Run: standby},
	}
}

// standby belongs where payment has one exporter: its path is the only one that is kept warm. The gateway is started anew,
// because one that has used the next tunnel before has connections there.
func standby(ctx context.Context, e *Env) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*patience)
	defer cancel()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := e.Consumer.Restart(ctx, mcw.Namespace, mcw.EgressName); err != nil {
		return err
	}
	g, err := e.gateways(ctx)
	if err != nil {
		return err
	}
	before, err := e.WAN.Counters(ctx)
	if err != nil {
		return err
	}
	if err := e.setStandby(ctx, `"Warm"`); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.setStandby(context.WithoutCancel(ctx), "null")) }()
	if err := e.warmed(ctx, g, before); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
	var used usage
	report, err := c.underLoad(ctx, func(ctx context.Context) error {
		used, err = e.used(ctx, func(ctx context.Context) error { return e.breakAndHeal(ctx, []string{"refused"}) })
		return err
	})
	if err != nil {
		return err
	}
	e.Say("client in %s, GET %s all the while: %s", NamespacePlain, PaymentURL, report)
	if n := used[wayLow()].connections; n > 0 {
		return fmt.Errorf("%d connections were made over %s when %s refused, though there were some (%s)", n, wayLow(), wayHigh(), used)
	}
	return nil
}

// warmed waits until every worker of the egress gateway has made a connection over the next tunnel.
func (e *Env) warmed(ctx context.Context, g gateways, before Counters) error {
	want, err := e.warmConnections(ctx)
	if err != nil {
		return err
	}
	if err := Eventually(ctx, patience, fmt.Sprintf("%d connections over the next tunnel", want), func(ctx context.Context) error {
		now, err := e.WAN.Counters(ctx)
		if err != nil {
			return err
		}
		if used := g.between(now.Since(before)); used[wayLow()].connections < want {
			return fmt.Errorf("%d of them (%s)", used[wayLow()].connections, used)
		}
		return nil
	}); err != nil {
		return err
	}
	e.Say("every worker of the egress gateway has a connection over %s: %d in all", wayLow(), want)
	return nil
}

// setStandby sets the field to a value in JSON.
func (e *Env) setStandby(ctx context.Context, value string) error {
	policy := &mcw.WANPolicy{}
	policy.Name = "sd-wan-priority-high"
	return e.Consumer.Patch(ctx, policy, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"standby":`+value+`}}`)))
}

// warmConnections is how many connections a path has over one tunnel when every worker has one to every gateway of the peer.
func (e *Env) warmConnections(ctx context.Context) (uint64, error) {
	egress, err := e.Consumer.ReadyPods(ctx, mcw.Namespace, client.MatchingLabels{mcw.LabelGateway: mcw.GatewayEgress})
	if err != nil {
		return 0, err
	}
	ingress, err := e.Exporter.ReadyPods(ctx, mcw.Namespace, client.MatchingLabels{mcw.LabelGateway: mcw.GatewayIngress})
	return uint64(gatewayWorkers * len(egress) * len(ingress)), err
}
