// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func controlledBy(kind, name string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: "1", Controller: &yes}}
}

func pod(name, owner, image string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	p.Spec.Containers = []corev1.Container{{Name: "c", Image: image}}
	if owner != "" {
		p.OwnerReferences = controlledBy("ReplicaSet", owner)
	}
	return p
}

func TestDeploymentsOfNewImagesAreRestarted(t *testing.T) {
	deployment := func(name string) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	}
	set := func(name, owner string) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, OwnerReferences: controlledBy("Deployment", owner)}}
	}
	typed := fake.NewClientset(deployment("new"), deployment("old"), set("new-1", "new"), set("old-1", "old"),
		pod("a", "new-1", "l7mp/x:dev"), pod("b", "new-1", "l7mp/x:dev"), pod("c", "old-1", "l7mp/y:dev"), pod("bare", "", "l7mp/x:dev"))
	c := &Client{Typed: typed}
	got, err := c.RestartUsers(t.Context(), []string{"docker.io/l7mp/x:dev"}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ns/new"}, got); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"new": "1970-01-01T00:00:00Z", "old": ""} {
		d, err := typed.AppsV1().Deployments("ns").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Spec.Template.Annotations[restartedAt]; got != want {
			t.Errorf("%s restarted at %q, want %q", name, got, want)
		}
	}
}

func TestCanonicalImageNames(t *testing.T) {
	for in, want := range map[string]string{
		"nginx": "docker.io/library/nginx", "l7mp/x:dev": "docker.io/l7mp/x:dev", "docker.io/l7mp/x:dev": "docker.io/l7mp/x:dev",
		"mcwan.local/pause:1": "mcwan.local/pause:1", "localhost/x": "localhost/x",
	} {
		if got := Canonical(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
