// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// TestExportFailover: while a policy's tunnel refuses connections, the export's owner says where its requests go instead,
// or that they go nowhere else, of whatever protocol.
func TestExportFailover(t *testing.T) {
	w := newTraffic(t, 2)
	if w.wan == nil {
		t.Skip("needs the sandbox's SD-WAN")
	}
	exporter := w.clusters[1]
	w.deploy(exporter, "12-protocols.yaml", "protocols", "override")
	w.ok(exporter.WaitReady(w.ctx, story.NamespaceSidecar, "override"))
	const host = "override.secure.svc.clusterset.local"
	const url = "http://" + host + ":8080/"
	c := w.client(story.NamespacePlain)
	cameOver := func(port string) {
		t.Helper()
		w.eventually("an answer over port "+port, func(ctx context.Context) error {
			got, err := c.Get(ctx, url)
			if err == nil && got.Headers.Get(mcw.HeaderWANPort) != port {
				err = fmt.Errorf("it came over port %s", got.Headers.Get(mcw.HeaderWANPort))
			}
			return err
		})
	}
	say := func(failover string) {
		t.Helper()
		export := w.export("12-protocols.yaml", "protocols", "override")
		annotations := export.GetAnnotations()
		annotations[mcw.AnnotationFailover] = failover
		export.SetAnnotations(annotations)
		w.ok(exporter.ApplyObject(w.ctx, export))
	}
	const high, low, other = "31111", "31112", "31110"
	cameOver(high)
	heal := w.tunnel("business", "refused")
	cameOver(low)
	say("Ordered: default")
	cameOver(other)
	say("Strict")
	w.eventually("requests that fail rather than leave their tunnel", func(ctx context.Context) error {
		for range 20 {
			if got, err := c.Get(ctx, url); err == nil {
				return fmt.Errorf("one was answered over port %s", got.Headers.Get(mcw.HeaderWANPort))
			}
		}
		return nil
	})
	streams := [][]string{{"grpc", host + ":9090"}, {"tcp", host + ":5432"}}
	for _, args := range streams {
		w.eventually(args[0]+" calls that fail rather than leave their tunnel", func(ctx context.Context) error {
			for range 10 {
				if got, err := call(ctx, c, args...); got.Error == "" || got.Pod != "" {
					return errors.Join(fmt.Errorf("%s was answered: %+v", args[0], got), err)
				}
			}
			return nil
		})
	}
	heal()
	cameOver(high)
	for _, args := range streams {
		w.eventually(args[0]+" calls that are answered again", func(ctx context.Context) error {
			_, err := call(ctx, c, args...)
			return err
		})
	}
}
