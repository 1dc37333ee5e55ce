// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// restartedAt is the annotation by which `kubectl rollout restart` makes a new revision.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// RestartUsers replaces the pods that use one of the images, by a new revision of the Deployment they belong to, and
// returns these Deployments as NAMESPACE/NAME. Pods that belong to no Deployment are left alone. Images are compared
// as manifests write them: a name without a registry is docker.io's.
func (c *Client) RestartUsers(ctx context.Context, images []string, now time.Time) ([]string, error) {
	var owners []string
	err := again(ctx, func(ctx context.Context) (err error) {
		owners, err = c.users(ctx, images)
		return err
	})
	if err != nil {
		return nil, err
	}
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, restartedAt, now.UTC().Format(time.RFC3339))
	for _, o := range owners {
		namespace, name := splitKey(o)
		err := again(ctx, func(ctx context.Context) error {
			_, err := c.Typed.AppsV1().Deployments(namespace).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
			return err
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
	}
	return owners, nil
}

// users are the Deployments whose pods use one of the images, as NAMESPACE/NAME, sorted.
func (c *Client) users(ctx context.Context, images []string) ([]string, error) {
	pods, err := c.Typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var owners []string
	for i := range pods.Items {
		if !uses(&pods.Items[i], images) {
			continue
		}
		owner, err := c.deploymentOf(ctx, &pods.Items[i])
		if err != nil {
			return nil, err
		}
		if owner != "" {
			owners = append(owners, pods.Items[i].Namespace+"/"+owner)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners), nil
}

func uses(p *corev1.Pod, images []string) bool {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if slices.Contains(images, Canonical(c.Image)) {
			return true
		}
	}
	return false
}

func (c *Client) deploymentOf(ctx context.Context, p *corev1.Pod) (string, error) {
	set := metav1.GetControllerOf(p)
	if set == nil || set.Kind != "ReplicaSet" {
		return "", nil
	}
	rs, err := c.Typed.AppsV1().ReplicaSets(p.Namespace).Get(ctx, set.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil // its pod is about to go
	}
	if err != nil {
		return "", err
	}
	owner := metav1.GetControllerOf(rs)
	if owner == nil || owner.Kind != "Deployment" {
		return "", nil
	}
	return owner.Name, nil
}
