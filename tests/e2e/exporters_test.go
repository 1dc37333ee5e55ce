// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

const (
	shop        = "shop"
	shopURL     = "http://shop.secure.svc.clusterset.local:8080/"
	shopAddress = "shop.secure.svc.clusterset.local:5432"
	// shopRequests is how many requests shares are counted over; a share that is right stays within the tolerance: the
	// standard deviation of a half is 0.035 there.
	shopRequests  = 200
	shopTolerance = 0.12
)

// TestExporters exports a service from three clusters, the clients' own among them.
func TestExporters(t *testing.T) {
	w := newTraffic(t, 3)
	near, second, third := w.clusters[0], w.clusters[1], w.clusters[2]
	for _, c := range w.clusters {
		w.deploy(c, "12-protocols.yaml", "protocols", shop)
	}
	w.ok(near.Scale(w.ctx, shop, 1))
	w.ok(second.Scale(w.ctx, shop, 1))
	w.ok(third.Scale(w.ctx, shop, 2))
	spread := map[string]float64{near.Name: 0.25, second.Name: 0.25, third.Name: 0.5}
	for _, step := range []struct {
		name string
		run  func(*traffic)
	}{
		{"shares", func(w *traffic) { w.shared(spread) }},
		{"shares-without-a-tunnel", func(w *traffic) {
			if w.wan == nil {
				w.t.Skip("needs the sandbox's SD-WAN")
			}
			w.tunnel("business", "refused")
			w.shared(spread)
		}},
		{"shares-in-a-brownout", func(w *traffic) { w.sharedWhileSlow(spread) }},
		{"port-of-one", func(w *traffic) { w.portOfOne(second) }},
		{"local-service", func(w *traffic) { w.localService() }},
		{"rolling", func(w *traffic) {
			w.loaded(w.client(story.NamespacePlain), shopURL, func() { w.ok(second.Restart(w.ctx, story.NamespaceSidecar, shop)) })
		}},
		{"rolling-from-a-sidecar", func(w *traffic) {
			w.loaded(w.client(story.NamespaceSidecar), shopURL, func() { w.ok(second.Restart(w.ctx, story.NamespaceSidecar, shop)) })
		}},
		{"to-zero-and-back", func(w *traffic) {
			w.loaded(w.client(story.NamespacePlain), shopURL, func() {
				w.ok(third.Scale(w.ctx, shop, 0))
				w.shared(map[string]float64{near.Name: 0.5, second.Name: 0.5})
				w.ok(third.Scale(w.ctx, shop, 2))
				w.shared(spread)
			})
		}},
		{"unexport", func(w *traffic) {
			export := w.export("12-protocols.yaml", "protocols", shop)
			w.loaded(w.client(story.NamespacePlain), shopURL, func() {
				w.remove(third, export)
				w.shared(map[string]float64{near.Name: 0.5, second.Name: 0.5})
				w.ok(third.ApplyObject(w.ctx, export.DeepCopy()))
				w.shared(spread)
			})
		}},
		{"unexport-all-but-one", func(w *traffic) {
			export := w.export("12-protocols.yaml", "protocols", shop)
			w.loaded(w.client(story.NamespacePlain), shopURL, func() {
				w.remove(third, export)
				w.shared(map[string]float64{near.Name: 0.5, second.Name: 0.5})
				w.remove(second, export)
				w.shared(map[string]float64{near.Name: 1})
				w.ok(second.ApplyObject(w.ctx, export.DeepCopy()))
				w.ok(third.ApplyObject(w.ctx, export.DeepCopy()))
				w.shared(spread)
			})
		}},
		{"session-affinity", func(w *traffic) { w.sticky() }},
		{"prefer-close", func(w *traffic) {
			w.patch(shop, `{"spec":{"trafficDistribution":"PreferClose"}}`, w.clusters...)
			w.shared(map[string]float64{near.Name: 1})
			w.connectedTo(near.Name)
			w.loaded(w.client(story.NamespacePlain), shopURL, func() {
				w.ok(near.Scale(w.ctx, shop, 0))
				w.shared(map[string]float64{second.Name: 1.0 / 3, third.Name: 2.0 / 3})
				w.connectedTo(second.Name, third.Name)
				w.ok(near.Scale(w.ctx, shop, 1))
				w.shared(map[string]float64{near.Name: 1})
				w.connectedTo(near.Name)
			})
		}},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(w.in(t)) }) {
			t.Fatalf("the rest builds on %q", step.name)
		}
	}
}

// shared waits until requests are answered by these clusters in these shares, and by no others.
func (w *traffic) shared(want map[string]float64) {
	w.t.Helper()
	c := w.client(story.NamespacePlain)
	w.eventually(fmt.Sprintf("shares %v", want), func(ctx context.Context) error {
		got, err := c.Count(ctx, shopURL, shopRequests)
		if err != nil {
			return err
		}
		for cluster, n := range got {
			if d := float64(n)/shopRequests - want[cluster]; want[cluster] == 0 || d > shopTolerance || d < -shopTolerance {
				return fmt.Errorf("answers by cluster: %v", got)
			}
		}
		w.t.Logf("%d requests, answers by cluster: %v", shopRequests, got)
		return nil
	})
}

// sharedWhileSlow: a tunnel that breaks its service level moves traffic between tunnels, not between clusters.
func (w *traffic) sharedWhileSlow(want map[string]float64) {
	w.t.Helper()
	if w.wan == nil {
		w.t.Skip("needs the sandbox's SD-WAN")
	}
	w.unknownFalls()
	w.ok(w.wan.SetLatency(w.ctx, "business", beyondSLA))
	w.t.Cleanup(func() {
		if err := w.wan.Heal(context.WithoutCancel(w.ctx)); err != nil {
			w.t.Error(err)
		}
	})
	c := w.client(story.NamespacePlain)
	ports := map[string]bool{}
	w.eventually("requests to other clusters leave the slow tunnel", func(ctx context.Context) error {
		clear(ports)
		for range 20 {
			got, err := c.Get(ctx, shopURL)
			if err != nil {
				return err
			}
			if got.Cluster != w.clusters[0].Name { // its own hop is no tunnel's
				ports[got.Headers.Get(mcw.HeaderWANPort)] = true
			}
		}
		if ports["31111"] || len(ports) == 0 {
			return fmt.Errorf("ports %v", ports)
		}
		return nil
	})
	w.shared(want)
	w.t.Logf("requests to other clusters came over ports %v", slices.Sorted(maps.Keys(ports)))
}

// connectedTo waits until new TCP connections of both clients lead to each of these clusters and to no other.
func (w *traffic) connectedTo(want ...string) {
	w.t.Helper()
	for _, namespace := range []string{story.NamespacePlain, story.NamespaceSidecar} {
		c := w.client(namespace)
		w.eventually(fmt.Sprintf("TCP connections of %s to %v", c.Name(), want), func(ctx context.Context) error {
			got := map[string]int{}
			for range 20 {
				r, err := call(ctx, c, "tcp", "-n", "1", shopAddress)
				if err != nil {
					return err
				}
				got[r.Cluster]++
			}
			if !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
				return fmt.Errorf("connections by cluster: %v", got)
			}
			return nil
		})
	}
}

// localService calls the service by the name that it has in the clients' own cluster: that is the Service of this cluster
// alone, whether it is exported or not, and whoever else exports one of the name.
func (w *traffic) localService() {
	w.t.Helper()
	near, others := w.clusters[0], w.clusters[1:]
	own := func(when string) {
		w.t.Helper()
		for _, namespace := range []string{story.NamespacePlain, story.NamespaceSidecar} {
			got, err := w.client(namespace).Count(w.ctx, "http://shop.secure.svc.cluster.local:8080/", 50)
			w.ok(err)
			if len(got) != 1 || got[near.Name] != 50 {
				w.t.Errorf("%s, in %s: answers to the local name by cluster: %v", when, namespace, got)
			}
		}
	}
	own("exported")
	export := w.export("12-protocols.yaml", "protocols", shop)
	w.remove(near, export)
	w.shared(map[string]float64{others[0].Name: 1.0 / 3, others[1].Name: 2.0 / 3})
	own("not exported")
	w.ok(near.ApplyObject(w.ctx, export))
	w.shared(map[string]float64{near.Name: 0.25, others[0].Name: 0.25, others[1].Name: 0.5})
}

// portOfOne opens a port in one cluster only: all of its traffic goes there.
func (w *traffic) portOfOne(c *story.Cluster) {
	w.t.Helper()
	const ports = `{"name":"http","port":8080,"targetPort":"http"},{"name":"greeting","port":5432,"targetPort":"tcp"}`
	w.patch(shop, `{"spec":{"ports":[`+ports+`,{"name":"http-admin","port":8099,"targetPort":"http"}]}}`, c)
	defer w.patch(shop, `{"spec":{"ports":[`+ports+`]}}`, w.clusters...)
	w.eventually("all requests at "+c.Name, func(ctx context.Context) error {
		got, err := w.client(story.NamespacePlain).Count(ctx, "http://shop.secure.svc.clusterset.local:8099/", 30)
		if err == nil && got[c.Name] != 30 {
			w.t.Errorf("answers by cluster: %v", got)
		}
		return err
	})
}

// sticky holds each client with one cluster: new connections, HTTP and TCP, and HTTP also when the tunnel dies.
func (w *traffic) sticky() {
	w.t.Helper()
	w.patch(shop, `{"spec":{"sessionAffinity":"ClientIP"}}`, w.clusters...)
	defer w.patch(shop, `{"spec":{"sessionAffinity":"None"}}`, w.clusters...)
	var clients []*story.Client
	for _, namespace := range []string{story.NamespacePlain, story.NamespaceSidecar} {
		pods, err := w.clusters[0].ClientPods(w.ctx, namespace)
		w.ok(err)
		clients = append(clients, pods...)
	}
	held := map[string]string{}
	for _, c := range clients {
		w.eventually(c.Name()+" stays with a cluster", func(ctx context.Context) error {
			http, err := c.Count(ctx, shopURL, 30)
			if err != nil {
				return err
			}
			tcp := map[string]int{}
			for range 8 {
				got, err := call(ctx, c, "tcp", "-n", "1", shopAddress)
				if err != nil {
					return err
				}
				tcp[got.Cluster]++
			}
			if len(http) != 1 || len(tcp) != 1 {
				return fmt.Errorf("answers by cluster: HTTP %v, TCP %v", http, tcp)
			}
			for cluster := range http {
				held[c.Name()] = cluster
			}
			return nil
		})
	}
	w.t.Logf("%v", held)
	if w.wan == nil {
		return
	}
	w.tunnel("business", "refused")
	for _, c := range clients {
		w.eventually(c.Name()+" stays with its cluster without the tunnel", func(ctx context.Context) error {
			http, err := c.Count(ctx, shopURL, 30)
			if err == nil && http[held[c.Name()]] != 30 {
				err = fmt.Errorf("it was with %s; answers by cluster: %v", held[c.Name()], http)
			}
			return err
		})
	}
}
