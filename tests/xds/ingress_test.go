// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"strings"
	"testing"
	"time"

	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
)

const (
	wan     = "wan.svc.clusterset.local"
	webWire = "p8080.payment.secure.svc.clusterset.local"
	dbSNI   = "p5432.payment.secure.tcp.clusterset.local"
)

// Which backend a peer's request or connection reaches, by policy port, server name and authority.
func TestIngress(t *testing.T) {
	p := start(t, "export").ingress()
	web, db := clusterName(8080, "payment.secure.svc.cluster.local"), clusterName(5432, "payment.secure.svc.cluster.local")
	for _, port := range []int{31111, 31112} {
		for _, tc := range []struct {
			name    string
			call    simulation.Call
			cluster string
			err     error
		}{
			{"HTTP by wire name", mtls(port, simulation.HTTP2, webWire, wan), web, nil},
			{"TCP by server name", mtls(port, simulation.TCP, "", dbSNI), db, nil},
			{"another service's wire name", mtls(port, simulation.HTTP2, "p8080.other.secure.svc.clusterset.local", wan), "", simulation.ErrNoVirtualHost},
			{"a port that is not exported", mtls(port, simulation.HTTP2, "p53.payment.secure.svc.clusterset.local", wan), "", simulation.ErrNoVirtualHost},
			{"a TCP port by HTTP", mtls(port, simulation.HTTP2, "p5432.payment.secure.svc.clusterset.local", wan), "", simulation.ErrNoVirtualHost},
			{"a local name", mtls(port, simulation.HTTP2, "payment.secure.svc.cluster.local", wan), "", simulation.ErrNoVirtualHost},
			{"the clusterset name", mtls(port, simulation.HTTP2, payment, wan), "", simulation.ErrNoVirtualHost},
			// Not the HTTP server: it would wait for a request, and the client for the backend's banner.
			{"TCP by a name that is not there", mtls(port, simulation.TCP, "", "p5433.payment.secure.tcp.clusterset.local"), "", simulation.ErrNoFilterChain},
			{"a server name of another zone", mtls(port, simulation.HTTP2, webWire, "example.org"), "", simulation.ErrNoFilterChain},
			{"plain text", plain(port, simulation.HTTP, webWire), "", simulation.ErrNoFilterChain},
			{"TLS without a client certificate", simulation.Call{Port: port, Protocol: simulation.HTTP2, TLS: simulation.TLS, Sni: wan, HostHeader: webWire}, "", simulation.ErrMTLSError},
		} {
			t.Run(tc.name, func(t *testing.T) {
				tc.call.CallMode = simulation.CallModeGateway
				if got := p.sim.Run(tc.call); got.Error != tc.err || got.ClusterMatched != tc.cluster { //nolint:errorlint // the simulation returns them as they are
					t.Errorf("port %d: got %q, %v; want %q, %v", port, got.ClusterMatched, got.Error, tc.cluster, tc.err)
				}
			})
		}
	}
	if got := p.sim.Run(mtls(31113, simulation.HTTP2, webWire, wan)); got.Error != simulation.ErrNoListener { //nolint:errorlint // the simulation returns them as they are
		t.Errorf("a port of no policy: %v", got.Error)
	}
}

// A backend that is gone without a word is given up before clients give up.
func TestIngressWaitsASecondForBackends(t *testing.T) {
	p := start(t, "export").ingress()
	for _, port := range []int{8080, 5432} {
		c := p.cluster(short(clusterName(port, "payment.secure.svc.cluster.local")))
		if got := c.GetConnectTimeout().AsDuration(); got != time.Second {
			t.Errorf("cluster %s: %v for a connection", c.Name, got)
		}
	}
}

// The backend sees its own name. Nothing is repeated here, and only the gateway's own answers carry the mark that makes
// the egress gateway try elsewhere.
func TestIngressRoute(t *testing.T) {
	got := start(t, "export").ingress().answers(mtls(31111, simulation.HTTP2, webWire, wan))
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	a := got[0]
	if a.Authority != "payment.secure.svc.cluster.local" || a.Retries != 0 || a.RetryOn != "" || strings.Join(a.Hides, " ") != "x-envoy-ratelimited" {
		t.Errorf("got %+v", a)
	}
}

// Every way in goes past the list of pinned identities, and the gateway's own answers are marked.
func TestIngressAdmitsPinnedIdentitiesOnly(t *testing.T) {
	p := start(t, "three-clusters").ingress()
	listeners := 0
	for _, l := range p.sim.Listeners {
		for _, fc := range l.FilterChains {
			listeners++
			text := xdstest.Dump(t, fc)
			for _, id := range []string{"td-1", "td-2", "td-3"} {
				if !strings.Contains(text, "spiffe://"+id+"/ns/mc-wan/sa/mcw-egress") {
					t.Errorf("%s does not let the egress gateway of %s in", l.Name, id)
				}
			}
			if !strings.Contains(text, "envoy.filters.") || !strings.Contains(text, "rbac") {
				t.Errorf("%s lets everybody in", l.Name)
			}
			if hcm := xdstest.ExtractHTTPConnectionManager(t, fc); hcm != nil {
				mappers := hcm.GetLocalReplyConfig().GetMappers()
				if len(mappers) != 1 || mappers[0].GetHeadersToAdd()[0].GetHeader().GetKey() != "x-envoy-ratelimited" {
					t.Errorf("%s: local replies %v", l.Name, mappers)
				}
			}
		}
	}
	if listeners == 0 {
		t.Fatal("nothing listens")
	}
}
