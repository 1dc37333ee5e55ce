// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func proveOwner(ctx context.Context, e *Env) error {
	if err := e.Exporter.ApplyFile(ctx, e.sample(sampleOwner)); err != nil {
		return err
	}
	for _, kind := range []string{"Accepted", "ResolvedRefs", "Programmed"} {
		if err := e.Exporter.l7Condition(ctx, "ServiceExport", kind, "True", ""); err != nil {
			return err
		}
	}
	return e.asked(ctx, []ask{
		{"GET", "", 403}, {"POST", "payment", 403}, {"GET", "paymentx", 403},
		{"GET", "payment", 200}, {"GET", "payment/1?a=b", 200}, {"GET", "stats", 200}, {"POST", "stats/now", 200},
	})
}

func proveOwnerTunnels(ctx context.Context, e *Env) error {
	if err := e.provesTunnel(ctx, NamespacePlain, wayHigh(), "GET", PaymentURL+"payment"); err != nil {
		return err
	}
	return e.provesTunnel(ctx, NamespacePlain, wayLow(), "GET", PaymentURL+"stats")
}

// ask is a request and the status that it has to be answered with.
type ask struct {
	method, path string
	code         int
}

// asked waits until clients with and without a sidecar get these answers.
func (e *Env) asked(ctx context.Context, all []ask) error {
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		for _, a := range all {
			if err := c.answers(ctx, a.code, PaymentURL+a.path, "-X", a.method); err != nil {
				return fmt.Errorf("client in %s: %s /%s: %w", ns, a.method, a.path, err)
			}
		}
		e.Say("client in %s: %d requests are answered as they shall be", ns, len(all))
	}
	return nil
}

// l7Condition waits for a condition of the object of group mc-wan.l7mp.io that is about payment.
func (c *Cluster) l7Condition(ctx context.Context, kind, condition, status, reason string) error {
	return Eventually(ctx, patience, fmt.Sprintf("%s of %s in %s is %s", condition, kind, c.Name, status), func(ctx context.Context) error {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("mc-wan.l7mp.io/v1alpha1")
		o.SetKind(kind)
		if err := c.Get(ctx, client.ObjectKey{Namespace: "secure", Name: "payment"}, o); err != nil {
			return err
		}
		all, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, item := range all {
			m, _ := item.(map[string]any)
			if m["type"] == condition && m["status"] == status && (reason == "" || m["reason"] == reason) && m["observedGeneration"] == o.GetGeneration() {
				return nil
			}
		}
		return fmt.Errorf("it has %v", all)
	})
}

// proveConsumer: the consumer's rule sends all it is asked over the low-priority tunnel, the owner goes on denying.
func proveConsumer(ctx context.Context, e *Env) (err error) {
	rules := rulesForPayment(ruleOf("/", "sd-wan-priority-low"))
	if err := e.Consumer.ApplyObject(ctx, rules); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, client.IgnoreNotFound(e.Consumer.Delete(context.WithoutCancel(ctx), rules)),
			e.Exporter.DeleteFile(context.WithoutCancel(ctx), e.sample(sampleOwner)))
	}()
	if err := e.Consumer.l7Condition(ctx, "ServiceImport", "Programmed", "True", ""); err != nil {
		return err
	}
	if err := e.asked(ctx, []ask{{"GET", "", 403}, {"POST", "payment", 403}, {"GET", "payment", 200}}); err != nil {
		return err
	}
	if e.WAN != nil {
		if err := e.provesTunnel(ctx, NamespacePlain, wayLow(), "GET", PaymentURL+"payment"); err != nil {
			return err
		}
	}
	owner, err := readObjects(e.sample(sampleOwner))
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(owner[0].Object, "Refused", "spec", "consumerRules"); err != nil {
		return err
	}
	if err := e.Exporter.ApplyObject(ctx, owner[0]); err != nil {
		return err
	}
	if err := e.Consumer.l7Condition(ctx, "ServiceImport", "Accepted", "False", "NotAllowedByOwner"); err != nil {
		return err
	}
	e.Say("the owner refuses consumers' rules: Accepted is False, NotAllowedByOwner")
	return nil
}
