// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const interval = 100 * time.Millisecond

// poll asks until done, or until ctx ends; then the error says what was seen last.
func poll(ctx context.Context, check func(context.Context) (done bool, seen string)) error {
	var seen string
	err := wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (done bool, _ error) {
		done, seen = check(ctx)
		return done, nil
	})
	if err != nil {
		return fmt.Errorf("%w; last seen: %s", context.Cause(ctx), seen)
	}
	return nil
}

// again makes a request until it is answered. An API server that does not answer or is overloaded, as it may be just
// after its start, is asked again until ctx ends.
func again(ctx context.Context, request func(context.Context) error) error {
	var refused error
	err := poll(ctx, func(ctx context.Context) (bool, string) {
		if err := request(ctx); err != nil && passing(err) {
			return false, err.Error()
		} else if err != nil {
			refused = err
		}
		return true, ""
	})
	return errors.Join(refused, err)
}

// passing says whether an error may be gone when the same request is made again.
func passing(err error) bool {
	var network net.Error
	return errors.As(err, &network) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsConflict(err)
}

// WaitReady waits until the API server says that it is ready.
func (c *Client) WaitReady(ctx context.Context) error {
	return poll(ctx, func(ctx context.Context) (bool, string) {
		if err := c.Ready(ctx); err != nil {
			return false, err.Error()
		}
		return true, ""
	})
}

// Ready asks the API server once whether it is ready.
func (c *Client) Ready(ctx context.Context) error {
	return c.Typed.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(requestTimeout).Do(ctx).Error()
}

// WaitNode waits until the node is ready since after a time: a condition that an earlier boot left does not count.
func (c *Client) WaitNode(ctx context.Context, name string, after time.Time) error {
	return poll(ctx, func(ctx context.Context) (bool, string) {
		node, err := c.Typed.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		cond := nodeReady(node)
		if cond == nil {
			return false, "node has no Ready condition yet"
		}
		if cond.Status != corev1.ConditionTrue || cond.LastHeartbeatTime.Time.Before(after.Truncate(time.Second)) {
			return false, fmt.Sprintf("node Ready is %s as of %s: %s", cond.Status, cond.LastHeartbeatTime, cond.Message)
		}
		return true, ""
	})
}

// WaitFresh waits until what the API server knows of pods is of a time after a boot: no container counts as running that
// was started before it. Until the kubelet has said so, pods look as they were when the node was turned off.
func (c *Client) WaitFresh(ctx context.Context, boot time.Time) error {
	boot = boot.Truncate(time.Second)
	return poll(ctx, func(ctx context.Context) (bool, string) {
		pods, err := c.Typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		for i := range pods.Items {
			if p := &pods.Items[i]; stale(p, boot) {
				return false, fmt.Sprintf("pod %s/%s was not looked at again yet", p.Namespace, p.Name)
			}
		}
		return true, ""
	})
}

func stale(p *corev1.Pod, boot time.Time) bool {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if s.State.Running != nil && s.State.Running.StartedAt.Time.Before(boot) {
			return true
		}
	}
	return false
}

func nodeReady(n *corev1.Node) *corev1.NodeCondition {
	for i, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

// NodeReady says whether the node is ready as far as the API server knows.
func (c *Client) NodeReady(ctx context.Context, name string) (bool, error) {
	node, err := c.Typed.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	cond := nodeReady(node)
	return cond != nil && cond.Status == corev1.ConditionTrue, nil
}

// WaitDeployment waits until all pods of the deployment's newest revision are available.
func (c *Client) WaitDeployment(ctx context.Context, namespace, name string) error {
	return poll(ctx, func(ctx context.Context) (bool, string) {
		d, err := c.Typed.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return Available(d), fmt.Sprintf("deployment %s/%s: %d of %d pods updated, %d available", namespace, name, d.Status.UpdatedReplicas, wanted(d), d.Status.AvailableReplicas)
	})
}

// Available says whether all pods of a deployment's newest revision are available and none of an older one is left.
func Available(d *appsv1.Deployment) bool {
	want := wanted(d)
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == want && d.Status.AvailableReplicas == want && d.Status.Replicas == want
}

func wanted(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// HasDeployment says whether there is a deployment of that name.
func (c *Client) HasDeployment(ctx context.Context, namespace, name string) (bool, error) {
	err := again(ctx, func(ctx context.Context) error {
		_, err := c.Typed.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
