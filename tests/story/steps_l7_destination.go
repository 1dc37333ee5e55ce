// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// proveDummyDestination sends all of a client with a sidecar over the low-priority tunnel, by a VirtualService.
func proveDummyDestination(ctx context.Context, e *Env) (err error) {
	vs := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"hosts": []any{"payment.secure.svc.clusterset.local"},
		"http": []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{
			"host": dummyOf("sd-wan-priority-low") + ".mc-wan.svc.cluster.local", "port": map[string]any{"number": int64(wayLow().Port)},
		}}}}},
	}}}
	vs.SetAPIVersion("networking.istio.io/v1")
	vs.SetKind("VirtualService")
	vs.SetNamespace(NamespaceSidecar)
	vs.SetName("payment-low")
	defer func() {
		err = errors.Join(err, client.IgnoreNotFound(e.Consumer.Delete(context.WithoutCancel(ctx), vs)))
	}()
	if err := e.Consumer.ApplyObject(ctx, vs); err != nil {
		return err
	}
	if err := e.provesTunnel(ctx, NamespaceSidecar, wayLow(), "GET", PaymentURL); err != nil {
		return err
	}
	return e.provesTunnel(ctx, NamespacePlain, wayHigh(), "GET", PaymentURL)
}
