// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// expect waits for a short time and says whether the wait ended with success.
func expect(t *testing.T, want bool, what string, wait func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := wait(ctx)
	if want != (err == nil) || (err != nil && !errors.Is(err, context.DeadlineExceeded)) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestWhatAnEarlierBootLeftDoesNotCount(t *testing.T) {
	boot := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	before, after := metav1.NewTime(boot.Add(-time.Minute)), metav1.NewTime(boot.Add(time.Second))
	node := func(heartbeat metav1.Time) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: heartbeat},
		}}}
	}
	running := func(started metav1.Time) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}},
		}}}
	}
	for name, c := range map[string]struct {
		at   metav1.Time
		want bool
	}{"before": {before, false}, "after": {after, true}, "same second": {metav1.NewTime(boot.Truncate(time.Second)), true}} {
		client := &Client{Typed: fake.NewClientset(node(c.at), running(c.at))}
		expect(t, c.want, "node, "+name, func(ctx context.Context) error { return client.WaitNode(ctx, "n", boot) })
		expect(t, c.want, "pod, "+name, func(ctx context.Context) error { return client.WaitFresh(ctx, boot) })
	}
}

func TestADeploymentIsAvailableWhenItsNewestRevisionIs(t *testing.T) {
	two := int32(2)
	d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "ns", Generation: 3}, Spec: appsv1.DeploymentSpec{Replicas: &two}}
	good := appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}
	for name, c := range map[string]struct {
		change func(*appsv1.DeploymentStatus)
		want   bool
	}{
		"all there":             {func(*appsv1.DeploymentStatus) {}, true},
		"not yet seen":          {func(s *appsv1.DeploymentStatus) { s.ObservedGeneration = 2 }, false},
		"one of the old ones":   {func(s *appsv1.DeploymentStatus) { s.UpdatedReplicas = 1 }, false},
		"one not available":     {func(s *appsv1.DeploymentStatus) { s.AvailableReplicas = 1 }, false},
		"an old one still ends": {func(s *appsv1.DeploymentStatus) { s.Replicas = 3 }, false},
	} {
		one := d.DeepCopy()
		one.Status = good
		c.change(&one.Status)
		client := &Client{Typed: fake.NewClientset(one)}
		expect(t, c.want, name, func(ctx context.Context) error { return client.WaitDeployment(ctx, "ns", "d") })
	}
}
