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
	result chan heldResult
}

type heldResult struct {
	callResult
	err error
}

// hold opens TCP connections from a client and keeps a conversation on each, until release.
func (w *traffic) hold(c *story.Client, connections int, address, file string) held {
	w.t.Helper()
	h := held{client: c, file: file, result: make(chan heldResult, 1)}
	go func() {
		got, err := call(w.ctx, c, "hold", "-tcp", "-connections", fmt.Sprint(connections), "-for", "5m", "-while", file, address)
		h.result <- heldResult{got, err}
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
	w.ok(got.err)
	if got.Held == nil {
		w.t.Fatalf("nothing was held: %+v", got)
	}
	return got.Held.Opened, got.Held.Ended
}

// silence is how long the streams of TestLongLivedConnections say nothing: through a brownout and its end.
const silence = 45 * time.Second

// beyondSLA is a delay each way that is more than the policy's service level allows, and that no connection dies of: what
// is sent when it sets in is acknowledged before TCP_USER_TIMEOUT (docs/failover.md), on a busy machine too.
const beyondSLA = "150ms"

// longLived is a service with long-lived connections from a client.
type longLived struct {
	*traffic
	client *story.Client
	host   string
}

// streams opens a gRPC stream and a WebSocket that are silent for a time; the channel says how each ended.
func (l *longLived) streams(silent time.Duration) chan error {
	out := make(chan error, 2)
	for _, args := range [][]string{{"grpc", l.host + ":9090"}, {"ws", "ws://" + l.host + ":8080/ws"}} {
		go func() {
			_, err := call(l.ctx, l.client, args[0], "-idle", silent.String(), args[1])
			if err != nil {
				err = fmt.Errorf("%s: %w", args[0], err)
			}
			out <- err
		}()
	}
	return out
}

// onHigh waits until new requests take the tunnel of the high priority, or another one.
func (l *longLived) onHigh(want bool) {
	l.t.Helper()
	l.eventually(fmt.Sprintf("answers over the tunnel of the high priority: %t", want), func(ctx context.Context) error {
		got, err := l.client.Get(ctx, "http://"+l.host+":8080/")
		if err == nil && (got.Headers.Get(mcw.HeaderWANPort) == "31111") != want {
			err = fmt.Errorf("it came over port %s", got.Headers.Get(mcw.HeaderWANPort))
		}
		return err
	})
}

// TestLongLivedConnections: connections stay where they are while their tunnel degrades, is well again and is drained, and
// new requests go another way; a bounded drain ends them.
func TestLongLivedConnections(t *testing.T) {
	w := newTraffic(t, 2)
	if w.wan == nil {
		t.Skip("needs the sandbox's mcwanctl")
	}
	w.deploy(w.clusters[1], "12-protocols.yaml", "protocols", "long-lived")
	w.ok(w.clusters[1].WaitReady(w.ctx, story.NamespaceSidecar, "long-lived"))
	l := &longLived{traffic: w, client: w.client(story.NamespacePlain), host: "long-lived.secure.svc.clusterset.local"}
	w.unknownFalls()
	l.onHigh(true)
	l.stayOnADegradedTunnel()
	l.onHigh(true)
	l.endWithADrain()
}

func (l *longLived) stayOnADegradedTunnel() {
	l.t.Helper()
	held, streams := l.hold(l.client, 3, l.host+":5432", "/tmp/held-degraded"), l.streams(silence)
	l.ok(l.wan.SetLatency(l.ctx, "business", beyondSLA))
	l.t.Cleanup(func() {
		if err := l.wan.Heal(context.WithoutCancel(l.ctx)); err != nil {
			l.t.Error(err)
		}
	})
	l.onHigh(false)
	l.ok(l.wan.Heal(l.ctx))
	l.onHigh(true)
	if opened, ended := l.release(held); opened != 3 || ended != 0 {
		l.t.Errorf("%d of %d connections ended because their tunnel degraded", ended, opened)
	}
	for range 2 {
		if err := <-streams; err != nil {
			l.t.Errorf("a stream did not outlive a brownout: %v", err)
		}
	}
}

func (l *longLived) endWithADrain() {
	l.t.Helper()
	consumer := l.clusters[0]
	stay, end := l.hold(l.client, 3, l.host+":5432", "/tmp/held-stay"), l.hold(l.client, 3, l.host+":5432", "/tmp/held-end")
	streams := l.streams(5 * time.Minute)
	l.t.Cleanup(func() {
		after := l.in(l.t)
		after.ctx = context.WithoutCancel(l.ctx)
		after.mcwanctl(consumer, "undrain", "--wan-policy=high")
	})
	l.mcwanctl(consumer, "drain", "--wan-policy=high", "--timeout=3m")
	l.onHigh(false)
	if opened, ended := l.release(stay); opened != 3 || ended != 0 {
		l.t.Errorf("%d of %d connections ended because their tunnel was drained", ended, opened)
	}
	select {
	case err := <-streams:
		l.t.Errorf("a stream ended because its tunnel was drained: %v", err)
	default:
	}

	start := time.Now()
	out := l.mcwanctl(consumer, "drain", "--wan-policy=high", "--end-connections", "--timeout=3m")
	l.t.Logf("after %s: %s", time.Since(start).Round(time.Second), strings.TrimSpace(out))
	if opened, ended := l.release(end); opened != 3 || ended != 3 {
		l.t.Errorf("%d of %d connections have ended", ended, opened)
	}
	ended := time.After(soon)
	for range 2 {
		select {
		case err := <-streams:
			if err == nil {
				l.t.Error("a stream ended as if its time were over")
			}
		case <-ended:
			l.t.Fatal("a stream is still open")
		}
	}
	l.onHigh(false)
}
