// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"testing"
	"time"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
)

// filters calls what is given with every HTTP and TCP filter of a proxy's listeners.
func (p proxy) filters(http func(*listener.Listener, *hcm.HttpConnectionManager), tcp func(*listener.Listener, *tcpproxy.TcpProxy)) {
	p.t.Helper()
	for _, l := range p.sim.Listeners {
		for _, chain := range l.FilterChains {
			for _, f := range chain.Filters {
				switch f.Name {
				case "envoy.filters.network.http_connection_manager":
					http(l, xdstest.UnmarshalAny[hcm.HttpConnectionManager](p.t, f.GetTypedConfig()))
				case "envoy.filters.network.tcp_proxy":
					tcp(l, xdstest.UnmarshalAny[tcpproxy.TcpProxy](p.t, f.GetTypedConfig()))
				}
			}
		}
	}
}

// zero says that a timeout is written out and off.
func zero(d *durationpb.Duration) bool { return d != nil && d.AsDuration() == 0 }

// No gateway ends a stream because it is old or silent, whatever the mesh says of gateways, and both take a WebSocket on
// HTTP/2.
func TestStreamsLiveLong(t *testing.T) {
	c := start(t, "two-exporters")
	for name, p := range map[string]proxy{"egress": c.egress(), "ingress": c.ingress()} {
		http, tcp := 0, 0
		p.filters(func(l *listener.Listener, m *hcm.HttpConnectionManager) {
			http++
			switch {
			case !zero(m.StreamIdleTimeout), !zero(m.RequestTimeout), m.GetCommonHttpProtocolOptions().GetMaxStreamDuration() != nil:
				t.Errorf("%s, listener %s ends streams: %v %v", name, l.Name, m.StreamIdleTimeout, m.RequestTimeout)
			case !m.GetHttp2ProtocolOptions().GetAllowConnect():
				t.Errorf("%s, listener %s takes no WebSocket on HTTP/2", name, l.Name)
			case len(m.UpgradeConfigs) != 1 || m.UpgradeConfigs[0].UpgradeType != "websocket":
				t.Errorf("%s, listener %s takes no WebSocket: %v", name, l.Name, m.UpgradeConfigs)
			}
		}, func(l *listener.Listener, m *tcpproxy.TcpProxy) {
			tcp++
			if m.GetIdleTimeout().AsDuration() != time.Hour {
				t.Errorf("%s, listener %s ends silent connections after %v", name, l.Name, m.GetIdleTimeout())
			}
		})
		// A plain and an mTLS listener of each leg and the feed's; a chain of each policy's port and the TCP server's there.
		if http != 2+1 && name == "egress" || http != 2 && name == "ingress" || tcp != 2 {
			t.Errorf("%s: %d HTTP and %d TCP filters", name, http, tcp)
		}
		for _, c := range p.s.Routes(p.node) {
			for _, vh := range c.VirtualHosts {
				for _, r := range vh.Routes {
					if r.GetRoute() != nil && !zero(r.GetRoute().GetTimeout()) {
						t.Errorf("%s, route configuration %s ends requests after %v", name, c.Name, r.GetRoute().GetTimeout())
					}
				}
			}
		}
	}
}

// A WebSocket takes the route of any other GET: over the shared path, by the wire name.
func TestWebSocketTakesTheSharedPath(t *testing.T) {
	p := start(t, "http").egress()
	call := plain(10000, simulation.HTTP, payment)
	call.Path = "/ws"
	call.Headers = map[string][]string{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
	got := p.sim.Run(call)
	if got.Error != nil || short(got.ClusterMatched) != "path-sd-wan-priority-high-cluster-2" {
		t.Errorf("leads to %s, %v", got.ClusterMatched, got.Error)
	}
}
