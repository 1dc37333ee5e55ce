// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"testing"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

func TestTCPTunnels(t *testing.T) {
	g := gateways{
		ours: &pods{addresses: []string{"10.1.0.1", "10.1.0.2"}},
		exporters: map[string]*pods{
			"cluster-2": {addresses: []string{"10.2.0.1", "10.2.0.2"}},
			"cluster-3": {addresses: []string{"10.3.0.1"}},
		},
	}
	flow := func(tunnel, source, destination string, connections uint64) story.Flow {
		return story.Flow{Tunnel: tunnel, Source: source, Destination: destination, Connections: connections}
	}
	// One cluster's tunnel broke. The prober's connections are none of the gateways'.
	got := g.tunnels(story.Counters{
		flow("default", "10.1.0.1", "10.2.0.1", 2), flow("default", "10.1.0.2", "10.2.0.2", 2), flow("business", "10.1.0.1", "10.2.0.1", 3),
		flow("business", "10.1.0.9", "10.2.0.1", 9), flow("default", "10.1.0.2", "10.3.0.1", 0),
	}, g.ours, map[string]string{"cluster-2": "business", "cluster-3": "business"})
	if got["cluster-2"] != "default" || got["cluster-3"] != "business" {
		t.Errorf("tunnels %v", got)
	}
	if got := g.tunnels(nil, g.ours, nil); got["cluster-2"] != "" {
		t.Errorf("nothing was counted: %v", got)
	}
}

func TestTunnelsOfTCPAreAdded(t *testing.T) {
	b := &Bench{Consumer: &story.Cluster{Name: "cluster-1"}}
	line := timeline{
		{until: time.Second, ours: map[string]string{"cluster-2": "business"}, plain: map[string]string{"cluster-2": "internet"}},
		{until: 2 * time.Second, ours: map[string]string{"cluster-2": "default"}},
	}
	requests := []result.Request{
		{Cluster: "cluster-2", Took: time.Second},
		{Cluster: "cluster-2", Sent: time.Second, Took: time.Second},
		{Cluster: "cluster-2", Sent: time.Second, Took: 2 * time.Second},
		{Cluster: "cluster-1", Tunnel: "business", Took: time.Second},
		{Err: "EOF", Took: time.Second},
	}
	b.completeTunnels(sent{protocol: result.TCP, requests: requests}, line)
	for i, want := range []string{"business", "default", "", result.NoTunnel, ""} {
		if got := requests[i].Tunnel; got != want {
			t.Errorf("request %d: tunnel %q, want %q", i, got, want)
		}
	}
	if got := line.at(true, "cluster-2", 0); got != "internet" {
		t.Errorf("the plain way's: %q", got)
	}
	get := []result.Request{{Cluster: "cluster-2", Tunnel: "default"}, {Cluster: "cluster-1", Tunnel: "business"}}
	b.completeTunnels(sent{protocol: result.GET, requests: get}, line)
	if get[0].Tunnel != "default" || get[1].Tunnel != result.NoTunnel {
		t.Errorf("%+v", get)
	}
}
