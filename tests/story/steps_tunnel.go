// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"strconv"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Large messages make the counters tell them from everything else that gateways say to each other.
const (
	largeBytes       = 32 << 10
	largeRequests    = 20
	largeConnections = 10
)

// provePaymentTunnel asks both clients.
func provePaymentTunnel(ctx context.Context, e *Env) error {
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		if err := e.provesTunnel(ctx, ns, wayHigh(), "GET", PaymentURL); err != nil {
			return err
		}
	}
	return nil
}

// provesTunnel waits until large requests all go over one tunnel and no other: the tunnel may have to come back, for earlier
// steps broke some and a busy machine may, and Envoy's workers follow one after the other.
func (e *Env) provesTunnel(ctx context.Context, ns string, way Way, method, url string, curlArgs ...string) error {
	return Eventually(ctx, moveTime, "requests on "+way.String(), func(ctx context.Context) error {
		return e.tunnelProof(ctx, ns, way, method, url, curlArgs...)
	})
}

// tunnelProof sends large requests and looks whether each went over one tunnel and no other: by the header that the
// exporter's ingress gateway sets, and by the SD-WAN's counters.
func (e *Env) tunnelProof(ctx context.Context, ns string, way Way, method, url string, curlArgs ...string) error {
	c, err := e.Consumer.ClientPod(ctx, ns)
	if err != nil {
		return err
	}
	used, err := e.used(ctx, func(ctx context.Context) error {
		replies, err := c.Large(ctx, largeRequests, url, append([]string{"-X", method}, curlArgs...)...)
		if err != nil {
			return err
		}
		for _, r := range replies {
			if err := r.cameBy(way); err != nil {
				return err
			}
		}
		return nil
	})
	what := sent{n: largeRequests, each: largeBytes}
	if err == nil {
		err = used.onlyOn(way, what)
	}
	if err != nil {
		return fmt.Errorf("client in %s: %s %s: %w", ns, method, url, err)
	}
	e.Say("client in %s, %s %s, %s: each with %s %d; counted: %s", ns, method, url, what, mcw.HeaderWANPort, way.Port, used)
	return nil
}

// cameBy says whether a request was answered by the backend and came over the port of a way.
func (r Reply) cameBy(way Way) error {
	if r.Code != 200 || r.Answer == nil {
		return fmt.Errorf("HTTP %d %.200s", r.Code, r.Body)
	}
	return r.Answer.cameBy(way)
}

func (a *Answer) cameBy(way Way) error {
	if got := a.Headers.Get(mcw.HeaderWANPort); got != strconv.Itoa(way.Port) {
		return fmt.Errorf("the backend saw %s %q, want %d", mcw.HeaderWANPort, got, way.Port)
	}
	return nil
}

// provesTCPTunnel waits until large lines to a TCP service, on a connection each, are carried by one tunnel and no other.
func (e *Env) provesTCPTunnel(ctx context.Context, c *Client, way Way, host string, port int) (proof string, err error) {
	err = Eventually(ctx, moveTime, "connections on "+way.String(), func(ctx context.Context) (err error) {
		proof, err = e.tcpTunnelProof(ctx, c, way, host, port)
		return err
	})
	return proof, err
}

func (e *Env) tcpTunnelProof(ctx context.Context, c *Client, way Way, host string, port int) (string, error) {
	used, err := e.used(ctx, func(ctx context.Context) error {
		for range largeConnections {
			if _, err := c.Banner(ctx, host, port, largeBytes); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	what := sent{n: largeConnections, each: largeBytes, connections: true}
	if err := used.onlyOn(way, what); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; counted: %s", what, used), nil
}
