// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
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

// Status asks for a URL and returns the HTTP status code and the beginning of the body; code 0 means that no HTTP answer
// came, and the text is curl's own message.
func (c *Client) Status(ctx context.Context, url string, curlArgs ...string) (int, string, error) {
	const script = `curl -sS --max-time 10 -w '\n%{http_code}\n' "$@" 2>&1 || true`
	out, err := c.Run(ctx, append([]string{"sh", "-c", script, "curl"}, append(curlArgs, url)...)...)
	if err != nil {
		return 0, "", err
	}
	replies := parseReplies(out)
	if len(replies) == 0 {
		return 0, "", fmt.Errorf("no status in %.200q", out)
	}
	last := replies[len(replies)-1]
	body := oneLine(last.Body)
	return last.Code, body[:min(len(body), 300)], nil
}

// curlStatus is what curl prints after a body in these scripts.
var curlStatus = regexp.MustCompile(`(?m)^[0-9]{3}$`)

// Reply is an HTTP answer.
type Reply struct {
	Code int
	Body string
	// Answer is nil where it is not the echo backend's.
	Answer *Answer
}

// Large asks n times, one after the other, each time with a header of largeBytes. The header's value has 32 KiB that
// HTTP/2 cannot pack: the Huffman code of X has eight bits (RFC 7541, appendix B), and no table holds a value of that size.
func (c *Client) Large(ctx context.Context, n int, url string, curlArgs ...string) ([]Reply, error) {
	return c.repeat(ctx, n, largeBytes, url, curlArgs...)
}

// repeat asks n times, with a header of fill bytes unless that is 0.
func (c *Client) repeat(ctx context.Context, n, fill int, url string, curlArgs ...string) ([]Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+time.Duration(n)*2*time.Second)
	defer cancel()
	const script = `n=$1; fill=$(head -c "$2" /dev/zero | tr '\0' X); shift 2
[ -z "$fill" ] || set -- -H "x-fill: $fill" "$@"
for i in $(seq "$n"); do curl -sS --max-time 10 -w '\n%{http_code}\n' "$@" || exit 1; done`
	out, err := c.Run(ctx, append([]string{"sh", "-c", script, "repeat", strconv.Itoa(n), strconv.Itoa(fill)}, append(curlArgs, url)...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %.300q", err, tail(out, 300))
	}
	replies := parseReplies(out)
	if len(replies) != n {
		return nil, fmt.Errorf("%s: %d answers to %d requests", url, len(replies), n)
	}
	return replies, nil
}

// parseReplies takes bodies apart that are each followed by the status on a line of its own.
func parseReplies(out string) []Reply {
	var replies []Reply
	from := 0
	for _, at := range curlStatus.FindAllStringIndex(out, -1) {
		code, err := strconv.Atoi(out[at[0]:at[1]])
		if err != nil {
			continue // three digits are a number
		}
		r := Reply{Code: code, Body: strings.TrimSpace(out[from:at[0]])}
		var a Answer
		if json.Unmarshal([]byte(r.Body), &a) == nil && a.Pod != "" {
			r.Answer = &a
		}
		replies = append(replies, r)
		from = at[1]
	}
	return replies
}

// Banner opens a TCP connection, reads the first line that the server says, and then has a line of so many bytes come
// back. It returns the first line.
func (c *Client) Banner(ctx context.Context, host string, port, bytes int) (string, error) {
	const script = `exec 3<>"/dev/tcp/$1/$2" && IFS= read -r banner <&3 || exit 1
line=$(head -c "$3" /dev/zero | tr '\0' x)
printf '%s\n' "$line" >&3
[ "$(head -c $(($3 + 1)) <&3)" = "$line" ] && printf '%s' "$banner"`
	out, err := c.Run(ctx, "timeout", "10", "bash", "-c", script, "banner", host, strconv.Itoa(port), strconv.Itoa(bytes))
	if err != nil {
		return "", fmt.Errorf("%s:%d: no banner or no echo of a line: %w", host, port, err)
	}
	return out, nil
}

// Count asks n times and counts the answers by cluster; any other answer than 200 is an error.
func (c *Client) Count(ctx context.Context, url string, n int) (map[string]int, error) {
	replies, err := c.repeat(ctx, n, 0, url)
	if err != nil {
		return nil, err
	}
	byCluster := map[string]int{}
	for _, r := range replies {
		if r.Code != 200 || r.Answer == nil {
			return nil, fmt.Errorf("HTTP %d %.300s", r.Code, r.Body)
		}
		byCluster[r.Answer.Cluster]++
	}
	return byCluster, nil
}

func tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}
