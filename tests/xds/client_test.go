// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"slices"
	"testing"

	"istio.io/istio/pilot/pkg/simulation"
)

const (
	payment = "payment.secure.svc.clusterset.local"
	vip     = "10.96.7.7"
)

func call(port int, protocol simulation.Protocol, host string) simulation.Call {
	return simulation.Call{Address: vip, Port: port, Protocol: protocol, HostHeader: host, CallMode: simulation.CallModeOutbound}
}

// A client with a sidecar sees a mesh service, and its first hop is mutual TLS to the own egress gateway and nobody else,
// on the port that belongs to this service port.
func TestClientWithSidecar(t *testing.T) {
	p := start(t, "two-exporters").client("secure", "client", "10.11.1.9")
	for _, tc := range []struct {
		call simulation.Call
		port int
		hop  string
	}{
		{call(8080, simulation.HTTP, payment), 8080, "0 10.96.7.7:10003 1"},
		{call(5432, simulation.TCP, ""), 5432, "0 10.96.7.7:10001 1"},
	} {
		want := clusterName(tc.port, payment)
		p.sim.Run(tc.call).Matches(t, simulation.Result{ClusterMatched: want})
		if got := p.hops(short(want)); !slices.Equal(got, []string{tc.hop}) {
			t.Errorf("port %d leads to %v, want %s", tc.port, got, tc.hop)
		}
		if got := sans(upstreamTLS(t, p.cluster(short(want)))); !slices.Equal(got, []string{"spiffe://td-1/ns/mc-wan/sa/mcw-egress"}) {
			t.Errorf("port %d accepts %v", tc.port, got)
		}
	}
}

// The derived Service has the same address as the service that clients know. It must be on no sidecar's map.
func TestDerivedServiceIsHidden(t *testing.T) {
	p := start(t, "two-exporters").client("secure", "client", "10.11.1.9")
	for _, c := range p.sim.Clusters {
		if host := c.Name; slices.Contains([]string{"derived-", "wan.mcw.internal"}, host) {
			t.Errorf("%s is visible to clients", host)
		}
	}
}

// A VirtualService of a client may send what is meant for one imported service to another: routing at the egress gateway
// is by destination, so nothing has to be rewritten.
func TestClientsVirtualServiceChoosesAnotherImport(t *testing.T) {
	const other = "b.secure.svc.clusterset.local"
	p := start(t, "port-like-a-leg", `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mine, namespace: secure}
spec:
  hosts: [a.secure.svc.clusterset.local]
  http:
  - match: [{uri: {prefix: /payment}}]
    route: [{destination: {host: `+other+`, port: {number: 10000}}}]
  - route: [{destination: {host: a.secure.svc.clusterset.local}}]
`).client("secure", "client", "10.11.1.9")
	c := call(8080, simulation.HTTP, "a.secure.svc.clusterset.local")
	p.sim.Run(c).Matches(t, simulation.Result{ClusterMatched: clusterName(8080, "a.secure.svc.clusterset.local")})
	c.Path = "/payment/1"
	p.sim.Run(c).Matches(t, simulation.Result{ClusterMatched: clusterName(10000, other)})
	if got := p.hops(other + ":10000"); !slices.Equal(got, []string{"0 10.96.7.9:10003 1"}) {
		t.Errorf("the other service's own listener is used, got %v", got)
	}
}
