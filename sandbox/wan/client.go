// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// requestTimeout bounds one request of a Client whose context has no deadline of its own.
const requestTimeout = 10 * time.Second

// Client speaks to a running SD-WAN. Errors that a request's content caused name the field and the fix; errors about
// a tunnel or site that is not there match ErrNotFound.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client of the SD-WAN at the given control socket. It does not connect yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	// A connection a request, so that none is left over from an SD-WAN that was started anew.
	t := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	return &Client{socket: socket, http: &http.Client{Timeout: requestTimeout, Transport: t}}
}

// Status returns settings, sites and counters.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Counters returns the counters as of now; compare two with Counters.Since.
func (c *Client) Counters(ctx context.Context) (Counters, error) {
	var v Counters
	return v, c.do(ctx, http.MethodGet, "/v1/counters", nil, &v)
}

// ResetCounters sets all counters to zero. Tests that share an SD-WAN had better compare two values.
func (c *Client) ResetCounters(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/v1/counters", nil, nil)
}

// Set changes the settings that p names, of a tunnel in the direction from one site to another; Wildcard stands for all
// tunnels or sites.
// When it returns, every packet that comes is treated by the new settings; a tunnel that is not up any more has also given up
// the packets that were in it.
func (c *Client) Set(ctx context.Context, tunnel, from, to string, p Patch) error {
	query := url.Values{"from": {from}, "to": {to}}
	return c.do(ctx, http.MethodPatch, "/v1/tunnels/"+url.PathEscape(tunnel)+"?"+query.Encode(), p, nil)
}

// Heal gives all tunnels the settings back that they were configured with, and the state Up.
func (c *Client) Heal(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/v1/heal", nil, nil)
}

// SetClasses replaces all classes.
func (c *Client) SetClasses(ctx context.Context, classes Classes) error {
	if classes == nil {
		classes = Classes{}
	}
	return c.do(ctx, http.MethodPut, "/v1/classes", classes, nil)
}

// PutSite adds a site, or attaches anew one that is there, and returns whether its device could be attached. If not, the site is
// kept and tried again until it can. Settings and counters of a site that was there stay.
func (c *Client) PutSite(ctx context.Context, s Site) (SiteStatus, error) {
	var st SiteStatus
	return st, c.do(ctx, http.MethodPut, "/v1/sites/"+url.PathEscape(s.Name), s, &st)
}

// RemoveSite forgets a site and what was counted from and to it, and lets go of its network namespace.
func (c *Client) RemoveSite(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/v1/sites/"+url.PathEscape(name), nil, nil)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) (err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("SD-WAN: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://wan"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("SD-WAN: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("SD-WAN at %s does not answer; is the sandbox up? %w", c.socket, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= http.StatusBadRequest {
		return remoteError(resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("SD-WAN: read answer: %w", err)
	}
	return nil
}

// notFound is an error of the other side that matches ErrNotFound.
type notFound struct{ message string }

func (e notFound) Error() string        { return e.message }
func (e notFound) Is(target error) bool { return target == ErrNotFound }

func remoteError(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("SD-WAN: read answer: %w", err)
	}
	var f failure
	if json.Unmarshal(b, &f) != nil || f.Error == "" {
		return fmt.Errorf("SD-WAN: %s: %s", resp.Status, bytes.TrimSpace(b))
	}
	if resp.StatusCode == http.StatusNotFound {
		return notFound{message: f.Error}
	}
	return errors.New(f.Error)
}
