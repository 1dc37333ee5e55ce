// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
)

const egressService = "mcw-egress.mc-wan.svc.cluster.local"

// The controller's sidecar speaks mutual TLS to the feed port and accepts the own egress gateway only.
func TestFeedClient(t *testing.T) {
	p := start(t, "http").client("mc-wan", "mcw-controller", "10.11.0.6")
	p.sim.Run(simulation.Call{
		Address: "10.96.2.1", Port: 9443, Protocol: simulation.HTTP, HostHeader: "mcw-egress.mc-wan.svc:9443", CallMode: simulation.CallModeOutbound,
	}).Matches(t, simulation.Result{ClusterMatched: clusterName(9443, egressService)})
	context := upstreamTLS(t, p.cluster(egressService+":9443"))
	if got := sans(context); !slices.Equal(got, []string{"spiffe://td-1/ns/mc-wan/sa/mcw-egress"}) {
		t.Errorf("accepts %v", got)
	}
}

// The feed port leads to each peer's feed over the default policy's path, by the path's prefix; it takes mutual TLS only,
// and only from the controller.
func TestFeedLeg(t *testing.T) {
	p := start(t, "three-clusters").egress()
	feed := func(path string) simulation.Call {
		c := mtls(9443, simulation.HTTP2, egressService, "outbound_.9443_._."+egressService)
		c.Path = path
		return c
	}
	want := answer{
		Authority: "feed.mc-wan.svc.clusterset.local", Path: "/", RetryOn: "connect-failure,refused-stream,reset,envoy-ratelimited",
		Retries: 5, NextRank: true, Hides: []string{"x-envoy-ratelimited"},
	}
	got := p.answers(feed("/peers/cluster-2/apis"))
	if len(got) != 2 {
		t.Fatalf("a route per peer: %+v", got)
	}
	for _, a := range got {
		if len(a.Clusters) != 1 {
			t.Errorf("got %v", a.Clusters)
		}
		a.Clusters = nil
		if diff := cmp.Diff(want, a); diff != "" {
			t.Errorf("- want, + got:\n%s", diff)
		}
	}
	for path, cluster := range map[string]string{
		"/peers/cluster-2/apis": "path-sd-wan-priority-low-cluster-2", "/peers/cluster-3/": "path-sd-wan-priority-low-cluster-3",
	} {
		if got := p.sim.Run(feed(path)); got.Error != nil || short(got.ClusterMatched) != cluster {
			t.Errorf("%s leads to %q, %v", path, got.ClusterMatched, got.Error)
		}
	}
	for _, path := range []string{"/", "/peers/cluster-9/", "/peers/cluster-2", "/peers/cluster-23/", "/apis/"} {
		if got := p.sim.Run(feed(path)); got.Error != simulation.ErrNoRoute { //nolint:errorlint // the simulation returns them as they are
			t.Errorf("%s leads to %q, %v", path, got.ClusterMatched, got.Error)
		}
	}
	if got := p.sim.Run(plain(9443, simulation.HTTP, egressService)); got.Error != simulation.ErrTLSError { //nolint:errorlint // the simulation returns them as they are
		t.Errorf("plain text: %v", got.Error)
	}
	l := xdstest.ExtractListener("0.0.0.0_9443", p.sim.Listeners)
	text := xdstest.Dump(t, l)
	if !strings.Contains(text, "DENY") || !strings.Contains(text, "spiffe://td-1/ns/mc-wan/sa/mcw-controller") {
		t.Errorf("the feed port must turn everybody but the controller away:\n%s", text)
	}
}

// At the peer, the ingress gateway hands over to the controller and says who called, whatever the caller says.
func TestFeedIngress(t *testing.T) {
	c := start(t, "http")
	p := c.ingress()
	call := mtls(31112, simulation.HTTP2, "feed.mc-wan.svc.clusterset.local", wan)
	got := p.answers(call)
	want := []answer{{
		Clusters: map[string]int{"mcw-controller-feed.mc-wan.svc.cluster.local:9444": 100},
		Sets:     []string{"x-mcw-peer=%DOWNSTREAM_PEER_URI_SAN%"}, Removes: []string{"x-mcw-peer"}, Hides: []string{"x-envoy-ratelimited"},
		Deadlines: true,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
	// The controller's own sidecar lets nobody but the ingress gateway at it.
	in := xdstest.ExtractListener("virtualInbound", c.client("mc-wan", "mcw-controller", "10.11.0.6").sim.Listeners)
	if text := xdstest.Dump(t, in); !strings.Contains(text, "spiffe://td-1/ns/mc-wan/sa/mcw-ingress") {
		t.Error("the controller's feed is open to everybody")
	}
}
