// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// What Linux calls TCP_USER_TIMEOUT and TCP_NOTSENT_LOWAT.
const userTimeout, notsentLowat = 18, 25

// tcpOption returns what an option of TCP is set to when a socket is made, 0 where nothing is said of it.
func tcpOption(options []*core.SocketOption, name int64) int64 {
	for _, o := range options {
		if o.GetLevel() == 6 && o.GetName() == name && o.GetState() == core.SocketOption_STATE_PREBIND {
			return o.GetIntValue()
		}
	}
	return 0
}

// What waits for the WAN waits where services are apart: sockets and connections take little more than is sent, in the
// direction of requests at the egress gateway and of answers at the ingress gateway. A body may still be repeated that is
// larger than what a connection takes.
func TestLittleWaitsInTheQueueOfAll(t *testing.T) {
	const unsent, buffered, repeatable = 64 << 10, 128 << 10, 1 << 20
	c := start(t, "two-exporters")
	egress, ingress := c.egress(), c.ingress()
	path := egress.cluster("path-sd-wan-priority-high-cluster-2-cluster-1")
	if got := tcpOption(path.GetUpstreamBindConfig().GetSocketOptions(), notsentLowat); got != unsent || path.GetPerConnectionBufferLimitBytes().GetValue() != buffered {
		t.Errorf("a path's sockets take %d unsent bytes, its connections %v", got, path.GetPerConnectionBufferLimitBytes())
	}
	for _, l := range egress.sim.Listeners {
		if l.GetPerConnectionBufferLimitBytes().GetValue() != buffered {
			t.Errorf("egress listener %s takes %v", l.Name, l.GetPerConnectionBufferLimitBytes())
		}
	}
	for _, l := range ingress.sim.Listeners {
		if got := tcpOption(l.GetSocketOptions(), notsentLowat); got != unsent || l.GetPerConnectionBufferLimitBytes().GetValue() != buffered {
			t.Errorf("ingress listener %s takes %d unsent bytes and %v", l.Name, got, l.GetPerConnectionBufferLimitBytes())
		}
	}
	for _, cluster := range ingress.sim.Clusters {
		if cluster.GetEdsClusterConfig() != nil && cluster.GetPerConnectionBufferLimitBytes().GetValue() != buffered {
			t.Errorf("ingress cluster %s takes %v", cluster.Name, cluster.GetPerConnectionBufferLimitBytes())
		}
	}
	routes := 0
	for _, config := range egress.sim.Routes {
		for _, host := range config.VirtualHosts {
			for _, r := range host.Routes {
				if r.GetRoute() == nil {
					continue
				}
				routes++
				if r.GetRequestBodyBufferLimit().GetValue() != repeatable {
					t.Errorf("a request of %s is repeated up to %v", host.Name, r.GetRequestBodyBufferLimit())
				}
			}
		}
	}
	if len(egress.sim.Listeners) == 0 || len(ingress.sim.Listeners) == 0 || routes == 0 {
		t.Errorf("%d and %d listeners, %d routes", len(egress.sim.Listeners), len(ingress.sim.Listeners), routes)
	}
}
