// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxErrorBody is how much of an error's body is looked at, in bytes.
const maxErrorBody = 8 << 10

var errNoHeaders = errors.New("no answer in time")

// NewTransport is how peers are called unless something else is given: HTTP/1.1 in the clear to the own egress
// gateway, which the pod's sidecar makes mTLS. No proxy of the environment may come in between, and the watches of
// all peers share one host name, so idle connections are not limited to two of them.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
}

// guard is the http.RoundTripper below the client of one peer. It bounds what the peer may send, and turns whatever is
// not an answer of a feed into a problem.
type guard struct {
	next    http.RoundTripper
	limits  ReaderLimits
	headers time.Duration
	limiter *rate.Limiter
	budget  *budget
}

func newGuard(next http.RoundTripper, limits ReaderLimits, timing Timing) *guard {
	return &guard{
		next:    next,
		limits:  limits,
		headers: timing.ListTimeout,
		limiter: rate.NewLimiter(rate.Limit(limits.RequestsPerSecond), max(1, int(10*limits.RequestsPerSecond))),
		budget:  &budget{max: limits.MaxBytesPerMinute},
	}
}

// RoundTrip makes one call. The error, if any, is a *callError unless the caller gave up.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if err := g.limiter.Wait(req.Context()); err != nil {
		return nil, c.fail(unreachable(), err)
	}
	if !g.budget.left(time.Now()) {
		return nil, c.fail(overBudget(g.limits), nil)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(g.headers, func() { cancel(errNoHeaders) })
	resp, err := g.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		timer.Stop()
		cancel(nil)
		return nil, c.fail(unreachable(), err)
	}
	resp.Body = &guardedBody{guard: g, call: c, body: resp.Body, cancel: cancel}
	if err := judge(c, resp); err != nil {
		timer.Stop()
		_ = resp.Body.Close()
		return nil, err
	}
	if !timer.Stop() {
		_ = resp.Body.Close()
		return nil, c.fail(unreachable(), errNoHeaders)
	}
	return resp, nil
}

// judge lets JSON through, and 410 Gone, with which lists and watches are begun anew. Redirects end here: a peer must
// not send the controller to other addresses.
func judge(c *call, resp *http.Response) error {
	if resp.StatusCode == http.StatusGone {
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		return c.override(problemOf(resp.StatusCode, body), fmt.Errorf("status %d: %.300q", resp.StatusCode, body))
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return c.fail(unreadable("the peer's feed does not answer in JSON"), fmt.Errorf("content type %.200q", resp.Header.Get("Content-Type")))
	}
	return nil
}

// override is fail for an answer that is known, whatever reading its body brought.
func (c *call) override(p problem, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problem, c.cause = p, cause
	return &callError{p, cause}
}

func overBudget(l ReaderLimits) problem {
	return unreadable("the peer sent more than %d bytes within a minute", l.MaxBytesPerMinute)
}

// guardedBody counts what is read. Closing it ends the request.
type guardedBody struct {
	guard  *guard
	call   *call
	body   io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	size := b.call.count(n)
	limits := b.guard.limits
	switch {
	case b.call.watch && size > limits.MaxEventBytes:
		return 0, b.call.fail(unreadable("an event of the peer's feed has more than %d bytes", limits.MaxEventBytes), nil)
	case !b.call.watch && size > limits.MaxResponseBytes:
		return 0, b.call.fail(unreadable("an answer of the peer's feed has more than %d bytes", limits.MaxResponseBytes), nil)
	case !b.guard.budget.take(time.Now(), n):
		return 0, b.call.fail(overBudget(limits), nil)
	case err != nil && !errors.Is(err, io.EOF):
		return n, b.call.fail(unreachable(), err)
	}
	return n, err
}

func (b *guardedBody) Close() error {
	b.cancel(nil)
	return b.body.Close()
}

// budget is a count of bytes that begins anew every minute.
type budget struct {
	max int64

	mu   sync.Mutex
	from time.Time
	used int64
}

func (b *budget) take(now time.Time, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	b.used += int64(n)
	return b.used <= b.max
}

func (b *budget) left(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	return b.used < b.max
}

func (b *budget) turn(now time.Time) {
	if now.Sub(b.from) >= time.Minute {
		b.from, b.used = now, 0
	}
}
