// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// held are connections that a client keeps using.
type held struct {
	client *story.Client
	file   string
	result chan callResult
}

// hold opens TCP connections from a client and keeps a conversation on each, until release.
func (w *traffic) hold(c *story.Client, connections int, address, file string) held {
	w.t.Helper()
	h := held{client: c, file: file, result: make(chan callResult, 1)}
	go func() {
		got, err := call(w.ctx, c, "hold", "-tcp", "-connections", fmt.Sprint(connections), "-for", "5m", "-while", file, address)
		if err != nil {
			w.t.Error(err)
		}
		h.result <- got
	}()
	w.eventually("connections to "+address+" are held", func(ctx context.Context) error {
		_, err := c.Run(ctx, "test", "-e", file)
		return err
	})
	return h
}

// release ends the connections and says how many were open and how many had ended before.
func (w *traffic) release(h held) (opened, ended int) {
	w.t.Helper()
	_, err := h.client.Run(w.ctx, "rm", "-f", h.file)
	w.ok(err)
	got := <-h.result
	if got.Held == nil {
		w.t.Fatalf("nothing was held: %+v", got)
	}
	return got.Held.Opened, got.Held.Ended
}

// TestDrainEndsConnections drains a tunnel with long-lived connections on it. At first they stay, and new requests go another way; then
// they end, within the gateways' grace period.
func TestDrainEndsConnections(t *testing.T) {
	w := newTraffic(t, 2)
	if w.wan == nil {
		t.Skip("needs the sandbox's mcwanctl")
	}
	consumer, exporter := w.clusters[0], w.clusters[1]
	w.deploy(exporter, "12-protocols.yaml", "protocols", "long-lived")
	w.ok(exporter.WaitReady(w.ctx, story.NamespaceSidecar, "long-lived"))
	const host = "long-lived.secure.svc.clusterset.local"
	c := w.client(story.NamespacePlain)
	answeredOn := func(want func(port string) bool) {
		t.Helper()
		w.eventually("an answer", func(ctx context.Context) error {
			got, err := c.Get(ctx, "http://"+host+":8080/")
			if err == nil && !want(got.Headers.Get(mcw.HeaderWANPort)) {
				err = fmt.Errorf("it came over port %s", got.Headers.Get(mcw.HeaderWANPort))
			}
			return err
		})
	}
	high := func(port string) bool { return port == "31111" }
	answeredOn(high)

	stay, end := w.hold(c, 3, host+":5432", "/tmp/held-stay"), w.hold(c, 3, host+":5432", "/tmp/held-end")
	stream := make(chan error, 1)
	go func() {
		_, err := call(w.ctx, c, "grpc", "-idle", "5m", host+":9090")
		stream <- err
	}()

	t.Cleanup(func() {
		after := w.in(t)
		after.ctx = context.WithoutCancel(w.ctx)
		after.mcwanctl(consumer, "undrain", "--wan-policy=high")
	})
	w.mcwanctl(consumer, "drain", "--wan-policy=high", "--timeout=1m")
	answeredOn(func(port string) bool { return !high(port) })
	if opened, ended := w.release(stay); opened != 3 || ended != 0 {
		t.Errorf("%d of %d connections ended because their tunnel was drained", ended, opened)
	}
	select {
	case err := <-stream:
		t.Errorf("a stream ended because its tunnel was drained: %v", err)
	default:
	}

	start := time.Now()
	out := w.mcwanctl(consumer, "drain", "--wan-policy=high", "--end-connections", "--timeout=1m")
	t.Logf("after %s: %s", time.Since(start).Round(time.Second), strings.TrimSpace(out))
	if opened, ended := w.release(end); opened != 3 || ended != 3 {
		t.Errorf("%d of %d connections have ended", ended, opened)
	}
	select {
	case err := <-stream:
		if err == nil {
			t.Error("the stream ended as if its time were over")
		}
	case <-time.After(5 * time.Second):
		t.Error("the stream is still open")
	}
	answeredOn(func(port string) bool { return !high(port) })
}
