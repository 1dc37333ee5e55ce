// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/tests/failover/result"
)

// target is what the load generator calls at a host.
func target(p result.Protocol, host string) string {
	switch p {
	case result.GRPC:
		return fmt.Sprintf("%s:%d", host, portGRPC)
	case result.TCP:
		return fmt.Sprintf("%s:%d", host, portTCP)
	default:
		return fmt.Sprintf("http://%s:%d/", host, portHTTP)
	}
}

// requestTimeout is how long a client waits.
const requestTimeout = 10 * time.Second

// Traffic is what is sent while a case is played.
type Traffic struct {
	Timing
	Protocols []result.Protocol
	// PlainHost is the host by which the same is sent the plain way beside it; empty for not.
	PlainHost string
	// Idle waits until the machine has nothing else to do before it begins: where times count.
	Idle bool
	// Sidecar has the client with a sidecar send it.
	Sidecar bool
}

func (l Traffic) client() string {
	if l.Sidecar {
		return sidecarName
	}
	return clientName
}

// send runs the load generator in a client's pod and returns what became of each request since start.
func (b *Bench) send(ctx context.Context, from string, p result.Protocol, host string, rate int, length time.Duration, start time.Time) ([]result.Request, error) {
	pods, err := b.Consumer.ReadyPods(ctx, Namespace, client.MatchingLabels{"app": from})
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("no %s is ready", from)
	}
	out, err := b.Consumer.Exec(ctx, &pods[0], "client", "load", "-protocol", string(p), "-rate", strconv.Itoa(rate),
		"-duration", length.String(), "-timeout", requestTimeout.String(), target(p, host))
	if err != nil {
		return nil, err
	}
	return parse(out, start)
}

// errCut says that a part of the load generator's report has not come, which says nothing about what was tested.
var errCut = errors.New("the load generator's report is not whole")

// parse reads what the load generator writes.
func parse(text string, start time.Time) ([]result.Request, error) {
	const columns = 5 // sent, took, cluster, port, error
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("%w: its last line has no end", errCut)
	}
	count, rest, err := announced(text)
	if err != nil {
		return nil, err
	}
	table := csv.NewReader(strings.NewReader(rest))
	table.FieldsPerRecord = columns
	lines, err := table.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCut, err)
	}
	if len(lines) != count {
		return nil, fmt.Errorf("%w: %d requests of %d", errCut, len(lines), count)
	}
	out := make([]result.Request, 0, len(lines))
	for _, l := range lines {
		sent, sentErr := strconv.ParseInt(l[0], 10, 64)
		took, tookErr := strconv.ParseInt(l[1], 10, 64)
		if err := errors.Join(sentErr, tookErr); err != nil {
			return nil, fmt.Errorf("the load generator's report: %q: %w", l, err)
		}
		out = append(out, result.Request{
			Sent: time.UnixMicro(sent).Sub(start), Took: time.Duration(took) * time.Microsecond,
			Cluster: l[2], Tunnel: tunnelOf(l[3]), Err: l[4],
		})
	}
	return out, nil
}

// announced is how many requests the load generator's report says it is of, and the rest of it.
func announced(text string) (count int, rest string, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	if count, err = strconv.Atoi(first); err != nil {
		return 0, "", fmt.Errorf("%w: it begins with %.80q, want the number of requests", errCut, first)
	}
	return count, rest, nil
}

// tunnelOf is the tunnel of a policy's port.
func tunnelOf(port string) string {
	switch port {
	case "":
		return ""
	case strconv.Itoa(portFirst), strconv.Itoa(portFirst + portStep):
		return tunnelFirst
	case strconv.Itoa(portSecond):
		return tunnelSecond
	case strconv.Itoa(portThird):
		return tunnelThird
	default:
		return "port " + port
	}
}
