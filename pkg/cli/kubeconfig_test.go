// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/pkg/cli"
)

// kubeconfigFor writes a kubeconfig with two contexts, of which the current one reaches url.
func kubeconfigFor(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	text := strings.ReplaceAll(`apiVersion: v1
kind: Config
current-context: cluster-1
clusters:
- {name: one, cluster: {server: "URL"}}
users:
- {name: admin, user: {token: t}}
contexts:
- {name: cluster-2, context: {cluster: one, user: admin}}
- {name: cluster-1, context: {cluster: one, user: admin, namespace: shop}}
`, "URL", url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runReal runs mcwanctl with a real kubeconfig.
func runReal(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = cli.Run(t.Context(), args, cli.Env{In: strings.NewReader(""), Out: &out, Err: &err, Version: "v0.1.0"})
	return code, out.String(), err.String()
}

func TestKubeconfigContexts(t *testing.T) {
	t.Parallel()
	path := kubeconfigFor(t, "https://127.0.0.1:1")
	_, stdout, _ := runReal(t, "__complete", "--kubeconfig", path, "--context", "")
	if want := "cluster-1\ncluster-2\n:4\n"; stdout != want {
		t.Errorf("completion of --context: got %q, want %q", stdout, want)
	}
}

func TestKubeconfigErrors(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.NotFoundHandler())
	refusing.Close()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no such file":    {[]string{"--kubeconfig", "/does/not/exist", "status"}, "/does/not/exist"},
		"no such context": {[]string{"--kubeconfig", kubeconfigFor(t, refusing.URL), "--context", "cluster-9", "status"}, `context "cluster-9" does not exist`},
		"no API server":   {[]string{"--kubeconfig", kubeconfigFor(t, refusing.URL), "status"}, "context cluster-1: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := runReal(t, c.args...)
			if code != cli.ExitFailed || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want exit code 1 and %q on stderr", code, stdout, stderr, c.want)
			}
		})
	}
}

// An API server that knows none of our kinds is told from one that does not answer.
func TestNotInstalled(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api":
			_, _ = w.Write([]byte(`{"kind":"APIVersions","versions":["v1"]}`))
		case "/apis":
			_, _ = w.Write([]byte(`{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`))
		case "/api/v1":
			_, _ = w.Write([]byte(`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[{"name":"namespaces","kind":"Namespace","namespaced":false,"verbs":["get"]}]}`))
		case "/api/v1/namespaces/kube-system":
			_, _ = w.Write([]byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"u"}}`))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	code, _, stderr := runReal(t, "--kubeconfig", kubeconfigFor(t, server.URL), "status")
	if code != cli.ExitFailed || !strings.Contains(stderr, "mc-wan is not installed there") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}
