// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"slices"
	"strings"
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
		if strings.Contains(c.Name, "derived-") || strings.Contains(c.Name, "wan.mcw.internal") {
			t.Errorf("%s is visible to clients", c.Name)
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

// A dummy Service is a mesh service as any other to clients with a sidecar: by its own name, by a Host that nobody has, and
// as the destination of a VirtualService. A Host that is another service's on the same port is that service, as everywhere
// in Istio; at the policy's own port there is no such service.
func TestClientOfDummyService(t *testing.T) {
	const low, address = "payment-secure-sd-wan-priority-low.mc-wan.svc.cluster.local", "10.96.8.8"
	rendered := documents(t, goldens, "dummy-services", "out.yaml")
	for i, d := range rendered {
		if d.Kind == "Service" && d.Metadata.Name == "payment-secure-sd-wan-priority-low" {
			rendered[i].text = strings.Replace(d.text, "\nspec:\n", "\nspec:\n  clusterIP: "+address+"\n", 1)
		}
	}
	p := startWith(t, documents(t, goldens, "dummy-services", "in.yaml"), rendered, `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mine, namespace: secure}
spec:
  hosts: [`+payment+`]
  http:
  - match: [{uri: {prefix: /low}}]
    route: [{destination: {host: `+low+`, port: {number: 31112}}}]
  - route: [{destination: {host: `+payment+`}}]
`).client("secure", "client", "10.11.1.9")
	for _, tc := range []struct {
		address    string
		port       int
		host, path string
		want       string
	}{
		{address, 31112, low, "/", clusterName(31112, low)},
		{address, 8080, low, "/", clusterName(8080, low)},
		{address, 8080, "any.example.org", "/", "PassthroughCluster"},
		{address, 31112, payment, "/", "PassthroughCluster"},
		{address, 8080, payment, "/", clusterName(8080, payment)},
		{vip, 8080, payment, "/low/1", clusterName(31112, low)},
	} {
		p.sim.Run(simulation.Call{
			Address: tc.address, Port: tc.port, Protocol: simulation.HTTP, HostHeader: tc.host, Path: tc.path, CallMode: simulation.CallModeOutbound,
		}).Matches(t, simulation.Result{ClusterMatched: tc.want})
	}
}
