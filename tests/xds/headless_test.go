// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"slices"
	"strings"
	"testing"

	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pkg/dns/server"
)

const (
	db      = "db.secure.svc.clusterset.local"
	dbZero  = "db-0.cluster-2." + db
	dbOne   = "db-1.cluster-2." + db
	dbFar   = "db-0.cluster-3." + db
	zeroVIP = "10.96.20.0"
	oneVIP  = "10.96.20.1"
	farVIP  = "10.96.30.0"
	zeroSNI = "p5432.db-0.db.secure.tcp.clusterset.local"
)

func to(vip string, port int, protocol simulation.Protocol, host string) simulation.Call {
	return simulation.Call{Address: vip, Port: port, Protocol: protocol, HostHeader: host, CallMode: simulation.CallModeOutbound}
}

// A client with a sidecar that connects to the address of an endpoint gets to that endpoint's own listener at the egress
// gateway, by mutual TLS, whether it found the address by the endpoint's name or by that of the service.
func TestHeadlessClientWithSidecar(t *testing.T) {
	p := start(t, "headless-import").client("secure", "client", "10.11.1.9")
	for _, tc := range []struct {
		call simulation.Call
		host string
		port int
		hop  string
	}{
		{to(zeroVIP, 5432, simulation.TCP, ""), dbZero, 5432, "0 10.96.20.0:10001 1"},
		{to(oneVIP, 5432, simulation.TCP, ""), dbOne, 5432, "0 10.96.20.1:10005 1"},
		{to(farVIP, 5432, simulation.TCP, ""), dbFar, 5432, "0 10.96.30.0:10009 1"},
		{to(zeroVIP, 8080, simulation.HTTP, dbZero), dbZero, 8080, "0 10.96.20.0:10003 1"},
		{to(oneVIP, 8080, simulation.HTTP, dbOne), dbOne, 8080, "0 10.96.20.1:10007 1"},
	} {
		want := clusterName(tc.port, tc.host)
		p.sim.Run(tc.call).Matches(t, simulation.Result{ClusterMatched: want})
		if got := p.hops(short(want)); !slices.Contains(got, tc.hop) || slices.ContainsFunc(got, func(h string) bool { return !strings.Contains(h, ":"+portOf(tc.hop)) }) {
			t.Errorf("%s leads to %v, want %s", want, got, tc.hop)
		}
		if got := sans(upstreamTLS(t, p.cluster(short(want)))); !slices.Equal(got, []string{"spiffe://td-1/ns/mc-wan/sa/mcw-egress"}) {
			t.Errorf("%s accepts %v", want, got)
		}
	}
}

func portOf(hop string) string {
	return strings.TrimSuffix(hop[strings.LastIndex(hop, ":")+1:], " 1")
}

// HTTP requests to the service as a whole are spread over the endpoints that have the port, each counted once.
func TestHeadlessHTTPToTheWhole(t *testing.T) {
	p := start(t, "headless-import").client("secure", "client", "10.11.1.9")
	p.sim.Run(to(oneVIP, 8080, simulation.HTTP, db)).Matches(t, simulation.Result{ClusterMatched: clusterName(8080, db)})
	got := p.hops(db + ":8080")
	slices.Sort(got)
	if want := []string{"0 10.96.20.0:10003 1", "0 10.96.20.1:10007 1", "0 fd00:96::2:0:10003 1", "0 fd00:96::2:1:10007 1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, c := range p.sim.Clusters {
		if c.Name == clusterName(5432, db) {
			t.Error("TCP to the whole has a cluster, it would take connections away from the endpoints")
		}
	}
}

// What a sidecar with DNS capture answers: all endpoints for the service, one for the name of an endpoint, nothing for a
// cluster's name.
func TestHeadlessNames(t *testing.T) {
	m := start(t, "headless-import")
	p := m.client("secure", "client", "10.11.1.9")
	table := server.BuildNameTable(server.Config{Node: p.node, Push: m.s.PushContext()}).Table
	for host, want := range map[string][]string{
		db:                     {"10.96.20.0", "10.96.20.1", "10.96.30.0", "fd00:96::2:0", "fd00:96::2:1", "fd00:96::3:0"},
		dbZero:                 {"10.96.20.0", "fd00:96::2:0"},
		dbFar:                  {"10.96.30.0", "fd00:96::3:0"},
		"cluster-2." + db:      nil,
		"db-1.cluster-3." + db: nil, // it has no address yet
	} {
		got := slices.Clone(table[host].GetIps())
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", host, got, want)
		}
	}
}

// At the egress gateway each endpoint's listener leads to its cluster, under the endpoint's wire name.
func TestHeadlessLegs(t *testing.T) {
	p := start(t, "headless-import").egress()
	for port, want := range map[int]string{10002: "p8080.db-0.db.secure.svc.clusterset.local", 10006: "p8080.db-1.db.secure.svc.clusterset.local"} {
		for _, a := range p.answers(plain(port, simulation.HTTP, db)) {
			if a.Authority != want || len(a.Clusters) != 1 || a.Clusters["path-sd-wan-priority-high-cluster-2"] != 100 {
				t.Errorf("port %d: %+v", port, a)
			}
		}
	}
	for port, cluster := range map[int]string{10000: "10.12.0.5", 10008: "10.13.0.5"} {
		got := p.sim.Run(plain(port, simulation.TCP, ""))
		if got.Error != nil || got.ClusterMatched == "" {
			t.Fatalf("port %d: %+v", port, got)
		}
		for _, h := range p.hopsOf(got.ClusterMatched) {
			if !strings.Contains(h, " "+cluster+":") {
				t.Errorf("port %d leads to %s", port, h)
			}
		}
		if sni := upstreamTLS(t, p.clusterNamed(got.ClusterMatched)).Sni; sni != zeroSNI {
			t.Errorf("port %d: the server name is %s", port, sni)
		}
	}
}

// At the exporter's ingress gateway a wire name leads to that pod and no other, on the pod's own port, by mutual TLS where
// the pod is in the mesh and in plain text where it is not; the wire name of the service leads to the service.
func TestHeadlessIngress(t *testing.T) {
	p := start(t, "headless-export").ingress()
	for _, tc := range []struct {
		call simulation.Call
		hops []string
		mtls bool
	}{
		{mtls(31111, simulation.HTTP2, "p80.db-0.db.secure.svc.clusterset.local", wan), []string{"10.1.0.20:8080", "fd00:1::20:8080"}, true},
		{mtls(31112, simulation.TCP, "", zeroSNI), []string{"10.1.0.20:5432", "fd00:1::20:5432"}, true},
		{mtls(31111, simulation.HTTP2, "p80.10-1-0-22.db.secure.svc.clusterset.local", wan), []string{"10.1.0.22:8080", "fd00:1::22:8080"}, false},
	} {
		tc.call.CallMode = simulation.CallModeGateway
		got := p.sim.Run(tc.call)
		if got.Error != nil {
			t.Errorf("%s%s: %v", tc.call.HostHeader, tc.call.Sni, got.Error)
			continue
		}
		var hops []string
		for _, h := range p.hopsOf(got.ClusterMatched) {
			hops = append(hops, strings.TrimSuffix(strings.TrimPrefix(h, "0 "), " 1"))
		}
		if !slices.Equal(hops, tc.hops) {
			t.Errorf("%s%s leads to %v, want %v", tc.call.HostHeader, tc.call.Sni, hops, tc.hops)
		}
		if all, none := p.takesMTLS(got.ClusterMatched); all != tc.mtls || none == tc.mtls {
			t.Errorf("%s%s: mutual TLS %v, want %v", tc.call.HostHeader, tc.call.Sni, all, tc.mtls)
		}
	}
	whole := mtls(31111, simulation.HTTP2, "p80.db.secure.svc.clusterset.local", wan)
	whole.CallMode = simulation.CallModeGateway
	if got := p.sim.Run(whole); got.Error != nil || got.ClusterMatched != clusterName(80, "db.secure.svc.cluster.local") {
		t.Errorf("the service as a whole: %q, %v", got.ClusterMatched, got.Error)
	}
	notReady := mtls(31111, simulation.HTTP2, "p80.db-1.db.secure.svc.clusterset.local", wan)
	notReady.CallMode = simulation.CallModeGateway
	if got := p.sim.Run(notReady); got.Error != simulation.ErrNoVirtualHost { //nolint:errorlint // the simulation returns them as they are
		t.Errorf("an endpoint that is not ready: %v", got.Error)
	}
}
