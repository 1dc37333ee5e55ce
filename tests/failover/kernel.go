// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	istioNamespace   = "istio-system"
	sidecarInjector  = "istio-sidecar-injector"
	egressDeployment = "mcw-egress"
)

// withoutProbes are the sysctls of docs/failover.md, section "Black holes found sooner".
func withoutProbes() []corev1.Sysctl {
	return []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}, {Name: "net.ipv4.tcp_early_retrans", Value: "0"}}
}

// tailLossProbes switches them on or off for what the consumer's egress gateways send, by istiod's values, and makes sure
// that the pods have it so.
func (b *Bench) tailLossProbes(ctx context.Context, on bool) error {
	if err := b.injectSysctls(ctx, on); err != nil {
		return err
	}
	// istiod reads the file of a mounted ConfigMap, which follows late.
	for _, d := range [][2]string{{istioNamespace, "istiod"}, {"mc-wan", egressDeployment}} {
		if err := b.Consumer.Restart(ctx, d[0], d[1]); err != nil {
			return err
		}
		if err := rolledOut(ctx, b.Consumer, d[0], d[1]); err != nil {
			return err
		}
	}
	pods, err := b.Consumer.ReadyPods(ctx, "mc-wan", client.MatchingLabels{mcw.LabelGateway: mcw.GatewayEgress})
	if err != nil {
		return err
	}
	for i := range pods {
		var has []corev1.Sysctl
		if s := pods[i].Spec.SecurityContext; s != nil {
			has = s.Sysctls
		}
		if got := !slices.Equal(has, withoutProbes()); got != on {
			return fmt.Errorf("pod %s has the sysctls %v", pods[i].Name, has)
		}
	}
	return nil
}

// injectSysctls sets istiod's gateways.securityContext, as `istioctl install` would.
func (b *Bench) injectSysctls(ctx context.Context, probes bool) error {
	const key = "values"
	injector := &corev1.ConfigMap{}
	if err := b.Consumer.Get(ctx, client.ObjectKey{Namespace: istioNamespace, Name: sidecarInjector}, injector); err != nil {
		return err
	}
	before := injector.DeepCopy()
	values := map[string]any{}
	if err := json.Unmarshal([]byte(injector.Data[key]), &values); err != nil {
		return fmt.Errorf("%s: %w", sidecarInjector, err)
	}
	gateways, ok := values["gateways"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no values for gateways", sidecarInjector)
	}
	gateways["securityContext"] = map[string]any{}
	if !probes {
		gateways["securityContext"] = map[string]any{"sysctls": withoutProbes()}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	injector.Data[key] = string(text)
	return b.Consumer.Patch(ctx, injector, client.MergeFrom(before))
}
