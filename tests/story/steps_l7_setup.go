// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The samples of these steps.
const (
	sampleV1, sampleV2, sampleCookie = "18-payment-v1.yaml", "19-payment-v2.yaml", "20-cookie-virtualservice.yaml"
	sampleHTTPRoute                  = "14-httproute.yaml"
	sampleOwner                      = "15-l7-export.yaml"
	sampleLimits                     = "16-l7-limits.yaml"
	sampleFailover                   = "07-failover.yaml"
)

// SteeringPrepared brings up what SteeringMore plays with.
func SteeringPrepared() []Step {
	return []Step{
		{Name: "policies", Title: "Policies, among them one that never leaves its tunnel", Run: func(ctx context.Context, e *Env) error {
			for _, c := range e.Clusters() {
				if err := c.ApplyFile(ctx, e.sample(sampleFailover)); err != nil {
					return err
				}
			}
			return applyPoliciesWithoutSLA(ctx, e)
		}},
		{Name: "workloads", Title: "payment in one cluster, clients in the other", Run: deploy},
		{Name: "export", Title: "payment is exported", Run: func(ctx context.Context, e *Env) error {
			if err := e.Exporter.ApplyFile(ctx, e.sample(sampleExport)); err != nil {
				return err
			}
			c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
			if err != nil {
				return err
			}
			return Eventually(ctx, patience, "an answer from "+PaymentURL, func(ctx context.Context) error {
				_, err := c.Get(ctx, PaymentURL)
				return err
			})
		}},
	}
}

// SteeringMore is the second user story beyond the documents' own example: what else requests can be steered by.
func SteeringMore() []Step {
	return []Step{
		{Name: "cookie", Title: "By cookie, between a version here and a version there (a VirtualService)", Run: proveCookie},
		{Name: "counted", Title: "What no rule matches is counted by the egress gateway", Run: proveCounted},
		{Name: "owner", Title: "The owner says it once for all consumers, and what it denies is denied at its own gateway", Run: proveOwner},
		{Name: "owner-tunnels", Title: "Which tunnel carried what? Ask the SD-WAN's counters", NeedsWAN: true, Run: proveOwnerTunnels},
		{Name: "consumer-wins", Title: "A consumer's own rules choose tunnels where the owner lets them, and open nothing that it denies", Run: proveConsumer},
		{Name: "limits", Title: "Timeouts and retries of rules, kept by the exporting cluster's gateway", Run: proveLimits},
		{Name: "filters", Title: "Filters of rules and weights: headers, rewrites, redirects, copies, nine to one", Run: proveFilters},
		{Name: "dummy-destination", Title: "A dummy Service as the destination of a VirtualService", NeedsWAN: true, Run: proveDummyDestination},
		{Name: "orders", Title: "Each rule's requests fall back as its policy says", NeedsWAN: true, Run: proveOrders},
		{Name: "strict", Title: "Requests of a Strict policy stay on their tunnel while everything else breaks, under load", NeedsWAN: true, Run: proveStrict},
		{Name: "strict-harmed", Title: "Their tunnel gets lossy, slow, flaps and dies: they fail rather than leave it", NeedsWAN: true, Run: proveStrictHarmed},
	}
}

// SteeringUndone removes what the steps may have left, in whatever state they ended.
func SteeringUndone(ctx context.Context, e *Env) error {
	var errs []error
	for _, f := range []string{sampleCookie, sampleV2, sampleLimits, sampleRules} {
		errs = append(errs, e.Consumer.DeleteFile(ctx, e.sample(f)))
	}
	for _, f := range []string{sampleOwner, sampleV1, sampleExport} {
		errs = append(errs, e.Exporter.DeleteFile(ctx, e.sample(f)))
	}
	for _, c := range e.Clusters() {
		errs = append(errs, c.DeleteFile(ctx, e.sample(sampleFailover)), c.ApplyFile(ctx, e.sample(samplePolicies)))
	}
	if e.WAN != nil {
		errs = append(errs, e.WAN.Heal(ctx))
	}
	return errors.Join(errs...)
}

// applyPoliciesWithoutSLA: these steps are about which tunnel a request is meant for. On a machine that is too busy for the
// service levels of the samples, traffic would leave it.
func applyPoliciesWithoutSLA(ctx context.Context, e *Env) error {
	objects, err := readObjects(e.sample(samplePolicies))
	if err != nil {
		return err
	}
	for _, o := range objects {
		unstructured.RemoveNestedField(o.Object, "spec", "sla")
		for _, c := range e.Clusters() {
			if err := c.ApplyObject(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}
