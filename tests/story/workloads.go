// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// samplePolicies are the story's WAN policies.
const samplePolicies = "01-wan-policies.yaml"

// ApplyPoliciesForBusyMachines applies WANPolicies without their bounds of loss, and with one of jitter that a machine on
// which everything stands still for a moment does not break: traffic would leave the tunnel that is looked for. Their
// latency is what it is in the file.
func (c *Cluster) ApplyPoliciesForBusyMachines(ctx context.Context, file string) error {
	const jitter = 300 // with the latency no more than the longest round trip of the samples: TCP_USER_TIMEOUT stays what it is
	objects, err := readObjects(file)
	if err != nil {
		return err
	}
	for _, o := range objects {
		unstructured.RemoveNestedField(o.Object, "spec", "sla", "loss-percent")
		if had, ok, _ := unstructured.NestedInt64(o.Object, "spec", "sla", "latency-ms"); ok && had < jitter {
			err = errors.Join(err, unstructured.SetNestedField(o.Object, int64(jitter), "spec", "sla", "jitter-ms"))
		}
		if err := errors.Join(err, c.ApplyObject(ctx, o)); err != nil {
			return err
		}
	}
	return nil
}

// Deploy applies files with backends that say in which cluster they run.
func (c *Cluster) Deploy(ctx context.Context, files ...string) error {
	return c.applyBackends(ctx, files...)
}

// WaitReady waits for a ready pod of an app.
func (c *Cluster) WaitReady(ctx context.Context, namespace, app string) error {
	return c.waitPods(ctx, namespace, app)
}

// Scale sets a Deployment's replicas in namespace secure and waits until as many are available and no others are left.
func (c *Cluster) Scale(ctx context.Context, name string, replicas int) error {
	return c.scale(ctx, name, replicas)
}

// Restart replaces a Deployment's pods as `kubectl rollout restart` does, and waits until the new ones are available.
func (c *Cluster) Restart(ctx context.Context, namespace, name string) error {
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = namespace, name
	stamp := `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"` + time.Now().Format(time.RFC3339Nano) + `"}}}}}`
	if err := c.Patch(ctx, d, client.RawPatch("application/merge-patch+json", []byte(stamp))); err != nil {
		return err
	}
	return c.available(ctx, d, int(*d.Spec.Replicas))
}

// ClientPods are the ready client pods of a namespace.
func (c *Cluster) ClientPods(ctx context.Context, namespace string) ([]*Client, error) {
	pods, err := c.ReadyPods(ctx, namespace, client.MatchingLabels{"app": "client"})
	var out []*Client
	for _, p := range pods {
		out = append(out, &Client{cluster: c, pod: p})
	}
	return out, err
}

// Name is the client's pod.
func (c *Client) Name() string { return c.pod.Namespace + "/" + c.pod.Name }
