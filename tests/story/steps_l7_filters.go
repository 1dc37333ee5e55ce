// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// sharedRequests are counted at weights of 9 to 1. Of so many, 20 take the lighter way, give or take 4.2: five times that
	// comes by chance once in a million times.
	sharedRequests       = 200
	sharedMin, sharedMax = 1, 41
)

// proveFilters: what filters of rules say is done by real Envoys, and weights hold.
func proveFilters(ctx context.Context, e *Env) (err error) {
	rules := rulesForPayment(filterRules()...)
	defer func() {
		err = errors.Join(err, client.IgnoreNotFound(e.Consumer.Delete(context.WithoutCancel(ctx), rules)))
	}()
	if err := e.Consumer.ApplyObject(ctx, rules); err != nil {
		return err
	}
	if err := e.Consumer.l7Condition(ctx, "ServiceImport", "Programmed", "True", ""); err != nil {
		return err
	}
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		if err := c.answersAll(ctx, 10, 200, PaymentURL+"headers"); err != nil {
			return err
		}
		for _, prove := range []func(context.Context, *Env) error{c.proveHeaders, c.proveRewrite, c.proveRedirect, c.proveShares} {
			if err := prove(ctx, e); err != nil {
				return fmt.Errorf("client in %s: %w", ns, err)
			}
		}
		if e.WAN == nil {
			continue
		}
		if err := c.proveMirror(ctx, e); err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
	}
	return nil
}

func filterRules() []map[string]any {
	header := func(name, value string) []any { return []any{map[string]any{"name": name, "value": value}} }
	filtered := func(rule map[string]any, kind, field string, value map[string]any) map[string]any {
		rule["filters"] = []any{map[string]any{"type": kind, field: value}}
		return rule
	}
	high, low := "sd-wan-priority-high", "sd-wan-priority-low"
	secured := filtered(ruleOf("/secured", high), "RequestRedirect", "requestRedirect", map[string]any{"scheme": "https"})
	delete(secured, "backendRefs")
	shared := ruleOf("/shared", high)
	shared["backendRefs"] = []any{
		map[string]any{"name": dummyOf(high), "namespace": "mc-wan", "weight": int64(9)},
		map[string]any{"name": dummyOf(low), "namespace": "mc-wan", "weight": int64(1)},
	}
	return []map[string]any{
		filtered(ruleOf("/headers", high), "RequestHeaderModifier", "requestHeaderModifier", map[string]any{
			"set": header("x-set", "new 100%"), "add": header("x-add", "second"), "remove": []any{"x-gone"},
		}),
		filtered(ruleOf("/old", high), "URLRewrite", "urlRewrite", map[string]any{
			"path": map[string]any{"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"},
		}),
		secured,
		filtered(ruleOf("/copied", high), "RequestMirror", "requestMirror", map[string]any{
			"backendRef": map[string]any{"name": dummyOf(low), "namespace": "mc-wan", "port": int64(8080)},
		}),
		shared,
	}
}

func (c *Client) proveHeaders(ctx context.Context, e *Env) error {
	a, err := c.Get(ctx, PaymentURL+"headers", "-H", "x-set: old", "-H", "x-add: first", "-H", "x-gone: here")
	if err != nil {
		return err
	}
	added := strings.Split(strings.ReplaceAll(strings.Join(a.Headers.Values("x-add"), ","), " ", ""), ",")
	if set := a.Headers.Values("x-set"); !slices.Equal(set, []string{"new 100%"}) || !slices.Equal(added, []string{"first", "second"}) || a.Headers.Get("x-gone") != "" {
		return fmt.Errorf("the backend saw headers %v", a.Headers)
	}
	e.Say("headers are set, added and removed")
	return nil
}

func (c *Client) proveRewrite(ctx context.Context, e *Env) error {
	for path, want := range map[string]string{"old": "/new", "old/a?b=c": "/new/a?b=c"} {
		a, err := c.Get(ctx, PaymentURL+path)
		if err != nil {
			return err
		}
		if a.Path != want {
			return fmt.Errorf("the backend saw %s, want %s of /%s", a.Path, want, path)
		}
		e.Say("/%s reaches the backend as %s", path, a.Path)
	}
	return nil
}

// proveRedirect: only the scheme is said, so the port is that of the scheme, which does not stand in URLs.
func (c *Client) proveRedirect(ctx context.Context, e *Env) error {
	out, err := c.Run(ctx, "curl", "-sS", "-o", "/dev/null", "--max-time", "10", "-w", "%{http_code} %header{location}", PaymentURL+"secured/a?b=c")
	if err != nil {
		return err
	}
	if want := "302 https://payment.secure.svc.clusterset.local/secured/a?b=c"; out != want {
		return fmt.Errorf("answered with %q, want %q", out, want)
	}
	e.Say("/secured/a?b=c: %s", out)
	return nil
}

func (c *Client) proveShares(ctx context.Context, e *Env) error {
	replies, err := c.repeat(ctx, sharedRequests, 0, PaymentURL+"shared")
	if err != nil {
		return err
	}
	light := 0
	for _, r := range replies {
		if r.cameBy(wayLow()) == nil {
			light++
		} else if err := r.cameBy(wayHigh()); err != nil {
			return err
		}
	}
	if light < sharedMin || light > sharedMax {
		return fmt.Errorf("%d of %d requests took the way of weight 1, the others that of weight 9", light, sharedRequests)
	}
	e.Say("weights 9 to 1: %d and %d requests", sharedRequests-light, light)
	return nil
}

// proveMirror counts the copies where they cross the SD-WAN.
func (c *Client) proveMirror(ctx context.Context, e *Env) error {
	used, err := e.used(ctx, func(ctx context.Context) error {
		replies, err := c.Large(ctx, largeRequests, PaymentURL+"copied")
		for _, r := range replies {
			err = errors.Join(err, r.cameBy(wayHigh()))
		}
		// Nobody waits for a copy.
		return errors.Join(err, Pause(ctx, loadWindow))
	})
	if err != nil {
		return err
	}
	for _, way := range []Way{wayHigh(), wayLow()} {
		if got, want := used[way].out, uint64(largeRequests*largeBytes); got < want || got > want*3/2 {
			return fmt.Errorf("%s carried %d bytes, want the %d that were sent or copied (%s)", way, got, want, used)
		}
	}
	e.Say("each request and its copy: %s", used)
	return nil
}
