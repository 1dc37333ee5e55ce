// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// loadTime is how long the first request of a load may take: vegeta gives up after 30 s.
const loadTime = 40 * time.Second

// Load is a stream of requests at a fixed rate from a client pod.
type Load struct {
	client *Client
	done   chan error
}

// LoadReport is what became of the requests.
type LoadReport struct {
	Requests int
	Failed   int
	Slowest  time.Duration
	// Codes counts answers by HTTP status; "0" counts requests without one.
	Codes map[string]int
	// Failures are what was answered to the first that failed.
	Failures []Failure
}

// Failure is one request that was not answered with 200.
type Failure struct {
	At      time.Time           `json:"timestamp"`
	Method  string              `json:"method"`
	Code    int                 `json:"code"`
	Latency time.Duration       `json:"latency"`
	Error   string              `json:"error"`
	Body    []byte              `json:"body"`
	Headers map[string][]string `json:"headers"`
}

func (f Failure) String() string {
	return fmt.Sprintf("%s %s after %s: %d %s %q %v", f.At.Format("15:04:05.000"), f.Method, f.Latency.Round(time.Millisecond), f.Code, f.Error, f.Body, f.Headers)
}

func (r LoadReport) String() string {
	return fmt.Sprintf("%d requests, %d failed, slowest %s", r.Requests, r.Failed, r.Slowest.Round(time.Millisecond))
}

// StartLoad sends requests at the rate (requests per second) until Stop: GETs, or of the methods given in turn. It returns
// when the first has been answered or has failed.
func (c *Client) StartLoad(ctx context.Context, url string, rate int, methods ...string) (*Load, error) {
	return c.startLoad(ctx, url, rate, 0, methods)
}

// startLoad is StartLoad of requests with fill bytes in a header, unless that is 0.
func (c *Client) startLoad(ctx context.Context, url string, rate, fill int, methods []string) (*Load, error) {
	if len(methods) == 0 {
		methods = []string{"GET"}
	}
	const script = `rm -f /tmp/load.bin; url=$1 fill=$(head -c "$2" /dev/zero | tr '\0' X); shift 2
for method in "$@"; do echo "$method $url"; [ -z "$fill" ] || echo "x-fill: $fill"; echo; done > /tmp/targets`
	if _, err := c.Run(ctx, append([]string{"sh", "-c", script, "targets", url, strconv.Itoa(fill)}, methods...)...); err != nil {
		return nil, err
	}
	l := &Load{client: c, done: make(chan error, 1)}
	go func() {
		_, err := c.Run(ctx, "sh", "-c", fmt.Sprintf(
			`echo $$ > /tmp/load.pid; exec vegeta attack -targets=/tmp/targets -rate=%d/1s -duration=0 -timeout=30s -output=/tmp/load.bin`, rate))
		l.done <- err
	}()
	err := Eventually(ctx, loadTime, "the first request of a load", func(ctx context.Context) error {
		_, err := c.Run(ctx, "test", "-s", "/tmp/load.bin")
		return err
	})
	if err != nil {
		_, stopErr := l.Stop(context.WithoutCancel(ctx))
		return nil, errors.Join(err, stopErr)
	}
	return l, nil
}

// loadRate is how many GETs a second are under way while something breaks.
const loadRate = 100

// underLoad runs do while GETs of payment are sent, and asks that none of them fails.
func (c *Client) underLoad(ctx context.Context, do func(context.Context) error) (*LoadReport, error) {
	load, err := c.StartLoad(ctx, PaymentURL, loadRate)
	if err != nil {
		return nil, err
	}
	err = do(ctx)
	report, stopErr := load.Stop(context.WithoutCancel(ctx))
	if err := errors.Join(err, stopErr); err != nil {
		return nil, err
	}
	if report.Failed > 0 {
		return nil, fmt.Errorf("%d of %d GETs failed: %v %v", report.Failed, report.Requests, report.Codes, report.Failures)
	}
	return report, nil
}

// Stop ends the load and reports on all of its requests.
func (l *Load) Stop(ctx context.Context) (*LoadReport, error) {
	if _, err := l.client.Run(ctx, "sh", "-c", "kill -INT $(cat /tmp/load.pid)"); err != nil {
		return nil, err
	}
	select {
	case err := <-l.done:
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out, err := l.client.Run(ctx, "vegeta", "report", "-type=json", "/tmp/load.bin")
	if err != nil {
		return nil, err
	}
	report, err := parseLoadReport([]byte(out))
	if err != nil || report.Failed == 0 {
		return report, err
	}
	const failures = `vegeta encode -to=json /tmp/load.bin | grep -v '"code":200,' | head -n 5`
	if out, err = l.client.Run(ctx, "sh", "-c", failures); err != nil {
		return nil, err
	}
	report.Failures, err = parseFailures(out)
	return report, err
}

// parseFailures reads what vegeta says of requests, a line each.
func parseFailures(out string) ([]Failure, error) {
	var all []Failure
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		f := Failure{}
		if err := d.Decode(&f); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("failures of a load: %w", err)
		}
		all = append(all, f)
	}
}

func parseLoadReport(out []byte) (*LoadReport, error) {
	var v struct {
		Requests  int `json:"requests"`
		Latencies struct {
			Max time.Duration `json:"max"`
		} `json:"latencies"`
		StatusCodes map[string]int `json:"status_codes"`
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return nil, fmt.Errorf("load report: %w", err)
	}
	return &LoadReport{
		Requests: v.Requests, Failed: v.Requests - v.StatusCodes["200"], Slowest: v.Latencies.Max, Codes: v.StatusCodes,
	}, nil
}
