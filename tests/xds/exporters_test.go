// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"slices"
	"testing"

	envoycluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"github.com/google/go-cmp/cmp"
	"istio.io/istio/pilot/pkg/simulation"
)

// Session affinity: the hash of the client's address chooses among the exporters' paths, whose shares stay, and in the
// path of a TCP leg among its hops.
func TestSessionAffinity(t *testing.T) {
	p := start(t, "session-affinity").egress()
	want := legAnswers(webWire, map[string]int{
		"path-sd-wan-priority-high-cluster-1-cluster-2": 25,
		"path-sd-wan-priority-high-cluster-2-cluster-1": 75,
	})
	if diff := cmp.Diff(want, p.answers(plain(10002, simulation.HTTP, payment))); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
	routes := 0
	for _, c := range p.s.Routes(p.node) {
		for _, vh := range c.VirtualHosts {
			for _, r := range vh.Routes {
				if r.Name != "client-ip" {
					continue
				}
				routes++
				action := r.GetRoute()
				if policies := action.GetHashPolicy(); len(policies) != 1 || !policies[0].GetConnectionProperties().GetSourceIp() {
					t.Errorf("%s: hash policies %v", c.Name, policies)
				}
				if !action.GetWeightedClusters().GetUseHashPolicy().GetValue() {
					t.Errorf("%s: draws lots", c.Name)
				}
			}
		}
	}
	if routes != 4 { // two kinds of methods at two listeners
		t.Errorf("%d routes hold their clients", routes)
	}
	const path = "path-tcp-payment-secure-5432-sd-wan-priority-h"
	if got := p.cluster(path).GetLbPolicy(); got != envoycluster.Cluster_RING_HASH {
		t.Errorf("the TCP leg's path balances by %v", got)
	}
	p.filters(func(*listener.Listener, *hcm.HttpConnectionManager) {}, func(l *listener.Listener, m *tcpproxy.TcpProxy) {
		if h := m.GetHashPolicy(); len(h) != 1 || h[0].GetSourceIp() == nil {
			t.Errorf("listener %s hashes %v", l.Name, h)
		}
	})
}

// Without session affinity nothing is hashed.
func TestNoSessionAffinity(t *testing.T) {
	p := start(t, "two-exporters").egress()
	for _, c := range p.s.Routes(p.node) {
		for _, vh := range c.VirtualHosts {
			for _, r := range vh.Routes {
				if len(r.GetRoute().GetHashPolicy()) > 0 || r.GetRoute().GetWeightedClusters().GetUseHashPolicy().GetValue() {
					t.Errorf("%s hashes", c.Name)
				}
			}
		}
	}
}

// PreferClose: all traffic stays in the own cluster while that can answer, and moves to the others only when it is lost.
func TestPreferClose(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		tcp        []string
	}{
		{"prefer-close", "path-sd-wan-priority-high-cluster-1-cluster-2", []string{
			"0 10.11.0.5:31111 1500", "1 10.11.0.5:31112 1500", "2 10.12.0.5:31111 4500", "3 10.12.0.5:31112 4500",
		}},
		{"prefer-close-away", "path-sd-wan-priority-high-cluster-2", []string{"0 10.12.0.5:31111 6000", "1 10.12.0.5:31112 6000"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := start(t, tc.name).egress()
			if got := p.answers(plain(10002, simulation.HTTP, payment))[0].Clusters; len(got) != 1 || got[tc.path] != 100 {
				t.Errorf("requests take %v", got)
			}
			if got := p.hops("path-tcp-payment-secure-5432-sd-wan-priority-h"); !slices.Equal(got, tc.tcp) {
				t.Errorf("connections take %v", got)
			}
		})
	}
}
