// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// The samples of steering by what is in a request.
const (
	sampleRules   = "08-l7-import.yaml"
	sampleExports = "09-payment-by-priority.yaml"
	sampleVS      = "10-l7-virtualservice.yaml"
)

// Steering is the second user story: which tunnel a request takes depends on the request.
func Steering() []Step {
	return slices.Concat(Rules(), []Step{
		{Name: "dummy", Title: "A tunnel by name: any client calls the dummy Service of the low-priority policy", NeedsWAN: true, Run: proveDummy},
		{Name: "virtualservice", Title: "The same by a VirtualService of a client with a sidecar, between two exports of payment", NeedsWAN: true, Run: proveVirtualService},
	})
}

// Rules is the part of it that asks for nothing but a ServiceImport.mc-wan.l7mp.io.
func Rules() []Step {
	return []Step{
		{Name: "rules", Title: "A consumer says: GET /payment over the high-priority tunnel, /stats over the low-priority one, nothing else", Run: applyRules},
		{Name: "rules-tunnels", Title: "Which tunnel carried what? Ask the SD-WAN's counters", NeedsWAN: true, Run: proveRules},
		{Name: "rules-removed", Title: "Without the rules the export's own policy holds again", Run: removeRules},
	}
}

func applyRules(ctx context.Context, e *Env) error {
	if err := e.Consumer.ApplyFile(ctx, e.sample(sampleRules)); err != nil {
		return err
	}
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		for _, ask := range []struct {
			method, path string
			code         int
		}{
			{"GET", "", 403}, {"GET", "paymentx", 403}, {"POST", "payment", 403},
			{"GET", "payment", 200}, {"GET", "payment/1?a=b", 200}, {"GET", "stats", 200}, {"POST", "stats/now", 200},
		} {
			if err := c.answers(ctx, ask.code, PaymentURL+ask.path, "-X", ask.method); err != nil {
				return fmt.Errorf("client in %s: %s /%s: %w", ns, ask.method, ask.path, err)
			}
			e.Say("client in %s: %-4s /%-13s %d", ns, ask.method, ask.path, ask.code)
		}
	}
	return nil
}

// answers waits until a URL is answered with a status.
func (c *Client) answers(ctx context.Context, want int, url string, curlArgs ...string) error {
	return c.answersAll(ctx, 1, want, url, curlArgs...)
}

// answersAll waits until so many requests in a row are answered with a status: Envoy's workers follow a change one after the
// other.
func (c *Client) answersAll(ctx context.Context, n, want int, url string, curlArgs ...string) error {
	return Eventually(ctx, patience, fmt.Sprintf("HTTP %d", want), func(ctx context.Context) error {
		for range n {
			code, body, err := c.Status(ctx, url, curlArgs...)
			if err != nil {
				return err
			}
			if code != want {
				return fmt.Errorf("HTTP %d %s", code, body)
			}
		}
		return nil
	})
}

func proveRules(ctx context.Context, e *Env) error {
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		if err := e.provesTunnel(ctx, ns, wayHigh(), "GET", PaymentURL+"payment"); err != nil {
			return err
		}
		if err := e.provesTunnel(ctx, ns, wayLow(), "GET", PaymentURL+"stats"); err != nil {
			return err
		}
	}
	return nil
}

// proveDummy calls it at its own port with any Host: it is the address that says what is meant. A client's own sidecar goes
// by the Host as well, so at a port that other services of the mesh have too, only the Service's own name is sure.
func proveDummy(ctx context.Context, e *Env) error {
	const host = "http://payment-secure-sd-wan-priority-low.mc-wan.svc.cluster.local"
	for _, call := range []struct {
		url  string
		args []string
	}{
		{url: host + ":31112/anything"}, {url: host + ":8080/anything"}, {url: host + ":31112/anything", args: []string{"-H", "Host: any.example"}},
	} {
		for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
			c, err := e.Consumer.ClientPod(ctx, ns)
			if err != nil {
				return err
			}
			if err := c.answers(ctx, 200, call.url, call.args...); err != nil {
				return fmt.Errorf("client in %s: %s %v: %w", ns, call.url, call.args, err)
			}
			if err := e.provesTunnel(ctx, ns, wayLow(), "GET", call.url, call.args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeRules(ctx context.Context, e *Env) error {
	if err := e.Consumer.DeleteFile(ctx, e.sample(sampleRules)); err != nil {
		return err
	}
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		if err := c.answers(ctx, 200, PaymentURL); err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
	}
	e.Say("GET / is answered again")
	if e.WAN == nil {
		return nil
	}
	for _, path := range []string{"", "stats"} {
		if err := e.provesTunnel(ctx, NamespacePlain, wayHigh(), "GET", PaymentURL+path); err != nil {
			return err
		}
	}
	return nil
}

// proveVirtualService plays the VirtualService as it is written, with requests that it sends one way however its list of
// matches is read.
func proveVirtualService(ctx context.Context, e *Env) (err error) {
	if err := e.Exporter.ApplyFile(ctx, e.sample(sampleExports)); err != nil {
		return err
	}
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, e.Consumer.DeleteFile(ctx, e.sample(sampleVS)), e.Exporter.DeleteFile(ctx, e.sample(sampleExports)))
	}()
	c, err := e.Consumer.ClientPod(ctx, NamespaceSidecar)
	if err != nil {
		return err
	}
	for _, name := range []string{"payment-high-prio", "payment-low-prio"} {
		if _, err := answered(ctx, c, "http://"+name+".secure.svc.clusterset.local:8080/"); err != nil {
			return err
		}
	}
	if err := e.Consumer.ApplyFile(ctx, e.sample(sampleVS)); err != nil {
		return err
	}
	if err := e.provesTunnel(ctx, NamespaceSidecar, wayLow(), "POST", PaymentURL+"stats"); err != nil {
		return err
	}
	return e.provesTunnel(ctx, NamespaceSidecar, wayHigh(), "GET", PaymentURL+"payment")
}
