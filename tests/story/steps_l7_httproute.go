// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
)

// httpRouteURL is the gateway that Istio makes of sampleHTTPRoute.
const httpRouteURL = "http://payment-clusterset-istio.secure.svc.cluster.local:8080/"

// ProveHTTPRoute leads requests to dummy Services by an HTTPRoute on a gateway of the consumer's own. The cluster needs the
// Gateway API's kinds.
func ProveHTTPRoute(ctx context.Context, e *Env) (err error) {
	file := e.sample(sampleHTTPRoute)
	if err := Eventually(ctx, patience, "the API server takes Gateways", func(ctx context.Context) error {
		return e.Consumer.ApplyFile(ctx, file)
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Consumer.DeleteFile(context.WithoutCancel(ctx), file)) }()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	for _, a := range []ask{{"GET", "payment", 200}, {"POST", "stats", 200}, {"POST", "payment", 404}, {"GET", "", 404}} {
		// The gateway's pods start first.
		if err := Eventually(ctx, deployTime, fmt.Sprintf("%s /%s is answered with %d", a.method, a.path, a.code), func(ctx context.Context) error {
			code, body, err := c.Status(ctx, httpRouteURL+a.path, "-X", a.method)
			if err == nil && code != a.code {
				err = fmt.Errorf("HTTP %d %s", code, body)
			}
			return err
		}); err != nil {
			return err
		}
	}
	e.Say("the HTTPRoute's gateway answers as its rules say")
	if e.WAN == nil {
		return nil
	}
	if err := e.provesTunnel(ctx, NamespacePlain, wayHigh(), "GET", httpRouteURL+"payment"); err != nil {
		return err
	}
	return e.provesTunnel(ctx, NamespacePlain, wayLow(), "GET", httpRouteURL+"stats")
}
