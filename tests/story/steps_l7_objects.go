// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rulesForPayment are a consumer's.
func rulesForPayment(rules ...map[string]any) *unstructured.Unstructured {
	all := make([]any, len(rules))
	for i, r := range rules {
		all[i] = r
	}
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"http": map[string]any{"rules": all}}}}
	o.SetAPIVersion("mc-wan.l7mp.io/v1alpha1")
	o.SetKind("ServiceImport")
	o.SetNamespace("secure")
	o.SetName("payment")
	return o
}

// ruleOf sends what is under a path over a policy.
func ruleOf(prefix, policy string) map[string]any {
	return map[string]any{
		"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": prefix}}},
		"backendRefs": []any{map[string]any{"name": dummyOf(policy), "namespace": "mc-wan"}},
	}
}

// dummyOf is the dummy Service of payment over a policy.
func dummyOf(policy string) string { return "payment-secure-" + policy }

// applySLA gives policies of the samples a service level of this latency, which other bounds leave alone. Latencies order
// the policies, so that what falls back Automatic does so in an order that a test can know.
func (e *Env) applySLA(ctx context.Context, milliseconds map[string]int64, failover map[string][]any) error {
	left := len(milliseconds)
	for _, file := range []string{"01-wan-policies.yaml", sampleFailover} {
		objects, err := readObjects(e.sample(file))
		if err != nil {
			return err
		}
		for _, o := range objects {
			latency, ok := milliseconds[o.GetName()]
			if !ok {
				continue
			}
			left--
			spec := o.Object["spec"].(map[string]any)
			spec["sla"] = map[string]any{"latency-ms": latency, "jitter-ms": latency, "loss-percent": int64(2)}
			if to := failover[o.GetName()]; to != nil {
				spec["failover"] = map[string]any{"mode": "Ordered", "to": to}
			}
			for _, c := range e.Clusters() {
				if err := c.ApplyObject(ctx, o); err != nil {
					return err
				}
			}
		}
	}
	if left != 0 {
		return fmt.Errorf("%d of these policies are not in the samples: %v", left, milliseconds)
	}
	return nil
}

// policiesAsPrepared undoes applySLA.
func (e *Env) policiesAsPrepared(ctx context.Context) error {
	for _, c := range e.Clusters() {
		if err := c.ApplyFile(ctx, e.sample(sampleFailover)); err != nil {
			return err
		}
	}
	return applyPoliciesWithoutSLA(ctx, e)
}
