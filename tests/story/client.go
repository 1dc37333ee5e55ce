// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The namespaces of the two clients: one with a sidecar, one without.
const (
	NamespaceSidecar = "secure"
	NamespacePlain   = "plain"
)

// Answer is what the echo backend says of a request.
type Answer struct {
	Pod     string      `json:"pod"`
	Cluster string      `json:"cluster"`
	Host    string      `json:"host"`
	Path    string      `json:"path"`
	Method  string      `json:"method"`
	Headers http.Header `json:"headers"`
}

// Client is the sample's client pod of a namespace.
type Client struct {
	cluster *Cluster
	pod     corev1.Pod
}

// ClientPod finds the client pod of a namespace.
func (c *Cluster) ClientPod(ctx context.Context, namespace string) (*Client, error) {
	pods, err := c.ReadyPods(ctx, namespace, client.MatchingLabels{"app": "client"})
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("no ready client pod in namespace %s of %s", namespace, c.Name)
	}
	return &Client{cluster: c, pod: pods[0]}, nil
}

// Run runs a command in the client's container.
func (c *Client) Run(ctx context.Context, command ...string) (string, error) {
	return c.cluster.Exec(ctx, &c.pod, "client", command...)
}

// Get asks for a URL with curl and decodes the echo backend's answer.
func (c *Client) Get(ctx context.Context, url string, curlArgs ...string) (*Answer, error) {
	out, err := c.Run(ctx, append([]string{"curl", "-sS", "--fail-with-body", "--max-time", "10"}, append(curlArgs, url)...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, oneLine(out))
	}
	a := &Answer{}
	if err := json.Unmarshal([]byte(out), a); err != nil {
		return nil, fmt.Errorf("%s: not an answer of the echo backend: %.200q", url, out)
	}
	return a, nil
}

// Status asks for a URL and returns the HTTP status code; 0 means that no HTTP answer came.
func (c *Client) Status(ctx context.Context, url string, curlArgs ...string) (int, string, error) {
	out, err := c.Run(ctx, append([]string{"sh", "-c", `curl -sS --max-time 10 -o /tmp/body -w '%{http_code}' "$@" 2>/tmp/err; printf ' %s' "$(head -c 300 /tmp/body /tmp/err 2>/dev/null)"`, "curl"}, append(curlArgs, url)...)...)
	if err != nil {
		return 0, "", err
	}
	var code int
	rest := out
	if head, tail, ok := strings.Cut(out, " "); ok {
		rest = tail
		if _, err := fmt.Sscanf(head, "%d", &code); err != nil {
			return 0, "", fmt.Errorf("no status in %.200q", out)
		}
	}
	return code, oneLine(rest), nil
}

// Banner opens a TCP connection and returns the first line that the server says.
func (c *Client) Banner(ctx context.Context, host string, port int) (string, error) {
	out, err := c.Run(ctx, "sh", "-c", fmt.Sprintf("(echo ping; sleep 1) | timeout 10 nc -w 5 %s %d | head -n 2", host, port))
	if err != nil {
		return "", err
	}
	if line, echoed, ok := strings.Cut(out, "\n"); ok && strings.Contains(echoed, "ping") {
		return line, nil
	}
	return "", fmt.Errorf("%s:%d said %.200q, want a banner and the echo of a line", host, port, out)
}

// Count asks n times and counts the answers by cluster; it stops at the first failure.
func (c *Client) Count(ctx context.Context, url string, n int) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, err := c.Run(ctx, "sh", "-c", fmt.Sprintf(`for i in $(seq %d); do curl -sS --fail-with-body --max-time 10 %s || exit 1; echo; done`, n, url))
	if err != nil {
		return nil, fmt.Errorf("%w: %.300q", err, tail(out, 300))
	}
	byCluster := map[string]int{}
	for line := range strings.Lines(out) {
		var a Answer
		if json.Unmarshal([]byte(line), &a) == nil && a.Pod != "" {
			byCluster[a.Cluster]++
		}
	}
	return byCluster, nil
}

func tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}
