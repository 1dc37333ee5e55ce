// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"testing"

	"github.com/l7mp/mc-wan/tests/story"
)

// TestProtocols carries every protocol from clients with and without a sidecar to a service in another cluster, and keeps
// streams that are silent for a while. MCWAN_IDLE is how long (a Go duration, by default 15s).
func TestProtocols(t *testing.T) {
	w := newTraffic(t, 2)
	exporter := w.clusters[1]
	w.deploy(exporter, "12-protocols.yaml", "protocols", "every-protocol")
	w.ok(exporter.WaitReady(w.ctx, story.NamespaceSidecar, "every-protocol"))
	idle := os.Getenv("MCWAN_IDLE")
	if idle == "" {
		idle = "15s"
	}
	const host = "every-protocol.secure.svc.clusterset.local"
	for _, namespace := range []string{story.NamespacePlain, story.NamespaceSidecar} {
		c := w.client(namespace)
		for _, tc := range []struct {
			name string
			args []string
			want callResult
		}{
			{"http1", []string{"http", "http://" + host + ":8080/"}, callResult{Proto: "HTTP/1.1"}},
			{"http2", []string{"http", "-h2", "http://" + host + ":8082/"}, callResult{Proto: "HTTP/2.0"}},
			{"grpc", []string{"grpc", "-idle", idle, host + ":9090"}, callResult{}},
			{"websocket on an http port", []string{"ws", "-idle", idle, "ws://" + host + ":8080/ws"}, callResult{}},
			{"websocket on a ws port", []string{"ws", "ws://" + host + ":8081/ws"}, callResult{}},
			{"tls passed through, http1", []string{"https", "https://" + host + ":8443/"}, callResult{Proto: "HTTP/1.1", Certificate: "mcwan-echo"}},
			{"tls passed through, http2", []string{"https", "-h2", "https://" + host + ":8443/"}, callResult{Proto: "HTTP/2.0", Certificate: "mcwan-echo"}},
			{"tcp, the server first", []string{"tcp", "-idle", idle, host + ":5432"}, callResult{}},
		} {
			t.Run(namespace+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				w := w.in(t)
				w.eventually("an answer", func(ctx context.Context) error {
					got, err := call(ctx, c, tc.args...)
					if err != nil {
						return err
					}
					tc.want.Pod, tc.want.Cluster, tc.want.Echoed = got.Pod, exporter.Name, 3
					if got != tc.want {
						t.Errorf("got %+v, want %+v", got, tc.want)
					}
					return nil
				})
			})
		}
	}
}
