// SPDX-License-Identifier: Apache-2.0

package wanclass

import (
	"context"
	"log/slog"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
)

func policy(name, tunnel string, port int64) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "mcw.l7mp.io/v1alpha1", "kind": "WANPolicy", "spec": map[string]any{"tunnel": tunnel, "port": port},
	}}
	o.SetName(name)
	return o
}

func TestPoliciesAreFollowed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	kinds := map[schema.GroupVersionResource]string{wanPolicies(): "WANPolicyList"}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, policy("high", "business", 31111))
	known := []Policy{{Cluster: "cluster-1", Name: "gone", Tunnel: "lte", Port: 31115}, {Cluster: "cluster-2", Name: "x", Tunnel: "lte", Port: 31116}}
	w := NewWatcher(known, slog.New(slog.DiscardHandler))
	go w.Follow(ctx, "cluster-1", client)
	until(ctx, t, w, 31111, "business")
	until(ctx, t, w, 31115, "")    // was deleted while nobody watched
	until(ctx, t, w, 31116, "lte") // of a cluster that was not read yet
	if _, err := client.Resource(wanPolicies()).Update(ctx, policy("high", "lte", 31111), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, w, 31111, "lte")
	if err := client.Resource(wanPolicies()).Delete(ctx, "high", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, w, 31111, "")
}

// until waits for changes until a port's tunnel is as wanted.
func until(ctx context.Context, t *testing.T, w *Watcher, port uint16, want string) {
	t.Helper()
	for {
		got := Classes(w.Policies(), []string{"business", "lte"}).Classes[port]
		if got == want {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("port %d: tunnel %q, want %q", port, got, want)
		case <-w.Changed():
		}
	}
}
