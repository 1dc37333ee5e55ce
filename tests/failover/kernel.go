// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

const (
	istioNamespace  = "istio-system"
	sidecarInjector = "istio-sidecar-injector"
)

// allowedControls is the file of the congestion controls that network namespaces may choose.
const allowedControls = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"

// unprivilegedPorts is what istiod sets by default in the gateways that it injects, and cubic Linux's default of congestion
// control, where a machine has another.
func unprivilegedPorts() corev1.Sysctl {
	return corev1.Sysctl{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}
}

func cubic() corev1.Sysctl {
	return corev1.Sysctl{Name: "net.ipv4.tcp_congestion_control", Value: "cubic"}
}

// allow lets network namespaces choose a congestion control, which Linux does by itself for the machine's own only. Down
// takes it back.
func (b *Bench) allow(control string) error {
	before, err := os.ReadFile(allowedControls)
	if err != nil {
		return err
	}
	allowed := strings.Fields(string(before))
	if slices.Contains(allowed, control) {
		return nil
	}
	b.allowedBefore = before
	return os.WriteFile(allowedControls, []byte(strings.Join(append(allowed, control), " ")), 0)
}

func (b *Bench) disallow() error {
	if b.allowedBefore == nil {
		return nil
	}
	return os.WriteFile(allowedControls, b.allowedBefore, 0)
}

// withoutProbes is the sysctl of docs/failover.md, section "Black holes found sooner".
func withoutProbes() corev1.Sysctl {
	return corev1.Sysctl{Name: "net.ipv4.tcp_early_retrans", Value: "0"}
}

// tailLossProbes switches them on or off for what the consumer's egress gateways send.
func (b *Bench) tailLossProbes(ctx context.Context, on bool) error {
	return gatewaysHave(ctx, b.Consumer, mcw.GatewayEgress, probes(on)...)
}

// HasTailLossProbes tells whether they are as said, and nothing else is set: what sets a sysctl of its own sets all.
func (b *Bench) HasTailLossProbes(ctx context.Context, on bool) error {
	return podsHave(ctx, b.Consumer, mcw.GatewayEgress, append([]corev1.Sysctl{unprivilegedPorts()}, probes(on)...))
}

func probes(on bool) []corev1.Sysctl {
	if on {
		return nil
	}
	return []corev1.Sysctl{withoutProbes()}
}

// gatewaysHave sets sysctls beside istiod's own in a cluster's gateways of a kind, by istiod's values, and makes sure that
// the pods have them so.
func gatewaysHave(ctx context.Context, c *story.Cluster, gateway string, sysctls ...corev1.Sysctl) error {
	want := append([]corev1.Sysctl{unprivilegedPorts()}, sysctls...)
	if err := injectSysctls(ctx, c, sysctls); err != nil {
		return err
	}
	if podsHave(ctx, c, gateway, want) == nil {
		return nil
	}
	// istiod reads the file of a mounted ConfigMap, which follows late.
	for _, d := range [][2]string{{istioNamespace, "istiod"}, {"mc-wan", "mcw-" + gateway}} {
		if err := c.Restart(ctx, d[0], d[1]); err != nil {
			return err
		}
		if err := rolledOut(ctx, c, d[0], d[1]); err != nil {
			return err
		}
	}
	return podsHave(ctx, c, gateway, want)
}

func podsHave(ctx context.Context, c *story.Cluster, gateway string, want []corev1.Sysctl) error {
	pods, err := c.ReadyPods(ctx, "mc-wan", client.MatchingLabels{mcw.LabelGateway: gateway})
	if err != nil {
		return err
	}
	for i := range pods {
		var has []corev1.Sysctl
		if s := pods[i].Spec.SecurityContext; s != nil {
			has = s.Sysctls
		}
		if !slices.Equal(has, want) {
			return fmt.Errorf("pod %s has the sysctls %v, want %v", pods[i].Name, has, want)
		}
	}
	return nil
}

// injectSysctls sets istiod's gateways.securityContext, as `istioctl install` would; with none, istiod's defaults.
func injectSysctls(ctx context.Context, c *story.Cluster, sysctls []corev1.Sysctl) error {
	const key = "values"
	injector := &corev1.ConfigMap{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: istioNamespace, Name: sidecarInjector}, injector); err != nil {
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
	if len(sysctls) > 0 {
		gateways["securityContext"] = map[string]any{"sysctls": append([]corev1.Sysctl{unprivilegedPorts()}, sysctls...)}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	injector.Data[key] = string(text)
	return c.Patch(ctx, injector, client.MergeFrom(before))
}
