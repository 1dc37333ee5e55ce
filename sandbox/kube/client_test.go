// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// fakeServer knows one kind, and answers writes with a list of status codes, one after the other.
func fakeServer(t *testing.T, codes ...int) (*Client, *atomic.Int32) {
	t.Helper()
	var writes atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodPatch:
			code := codes[min(int(writes.Add(1)), len(codes))-1]
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no %d", "reason": %q, "code": %d}`, code, reason(code), code)
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case r.URL.Path == "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		default:
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "configmaps", "namespaced": true, "kind": "ConfigMap", "verbs": ["patch"]}]}`)
		}
	}))
	t.Cleanup(server.Close)
	config := api.Config{
		Clusters:       map[string]*api.Cluster{"c": {Server: server.URL}},
		Contexts:       map[string]*api.Context{"c": {Cluster: "c"}},
		CurrentContext: "c",
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(config, file); err != nil {
		t.Fatal(err)
	}
	client, err := New(file)
	if err != nil {
		t.Fatal(err)
	}
	return client, &writes
}

func reason(code int) string {
	return map[int]string{http.StatusServiceUnavailable: "ServiceUnavailable", http.StatusUnprocessableEntity: "Invalid"}[code]
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n"

func TestApplyAsksAgainWhileTheServerIsOverloaded(t *testing.T) {
	client, writes := fakeServer(t, http.StatusServiceUnavailable, http.StatusServiceUnavailable, http.StatusOK)
	if err := client.Apply(t.Context(), []byte(configMap)); err != nil {
		t.Fatal(err)
	}
	if writes.Load() != 3 {
		t.Errorf("%d writes, want 3", writes.Load())
	}
}

func TestApplyEndsWhenTheObjectIsRefused(t *testing.T) {
	client, writes := fakeServer(t, http.StatusUnprocessableEntity)
	err := client.Apply(t.Context(), []byte(configMap))
	if err == nil || !strings.Contains(err.Error(), "apply ConfigMap a: ") || writes.Load() != 1 {
		t.Errorf("%d writes, error %v", writes.Load(), err)
	}
}

func TestParseSplitsAndSkipsEmptyDocuments(t *testing.T) {
	objects, err := Parse([]byte("---\n# nothing\n---\n" + configMap + "---\n" + configMap))
	if err != nil || len(objects) != 2 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	if _, err := Parse([]byte(configMap + "---\n{")); err == nil || !strings.Contains(err.Error(), "manifest 2") {
		t.Errorf("error %v does not say which manifest", err)
	}
}
