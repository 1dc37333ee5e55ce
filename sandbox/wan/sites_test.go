// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

func TestASiteThatComesLater(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b", "c")
	if err := f.set("lte", Wildcard, Wildcard, Patch{Loss: new(Probability(1))}); err != nil {
		t.Fatal(err)
	}
	st, err := f.putSite(siteC())
	if err != nil || !st.Attached {
		t.Fatalf("site: %+v, error %v", st, err)
	}
	podC := siteC().PodCIDRs[0].Addr().Next()
	f.pipe("c").in <- tcp(podC, podB, 40000, 31111, packet.FlagSYN)
	if h := receive(t, f.pipe("b")); h.Src != podC {
		t.Errorf("b got a packet from %v, want one from c", h.Src)
	}
	for _, tunnel := range f.status().Tunnels {
		for _, l := range tunnel.Links {
			if (l.Loss == 1) != (tunnel.Name == "lte") {
				t.Errorf("%s from %s to %s loses %v", tunnel.Name, l.From, l.To, l.Loss)
			}
		}
	}
	if err := f.removeSite("c"); err != nil {
		t.Fatal(err)
	}
	f.pipe("a").in <- tcp(podA, podC, 40000, 31111, 0)
	eventually(t, "no route to a removed site", func() bool { return f.counters().Sum(onTunnel("")).Dropped.NoRoute == 1 })
	if links := f.status().Tunnels[0].Links; len(links) != 2 {
		t.Errorf("after its removal the links are %+v, want those between a and b", links)
	}
}

func TestADeviceThatComesGoesAndComesBack(t *testing.T) {
	f := newFabric(t, twoSites(), "a")
	if st := f.status().Sites[1]; st.Attached || !strings.Contains(st.Error, errNoDevice.Error()) {
		t.Fatalf("site without a device: %+v", st)
	}
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, 0)
	eventually(t, "packets for a site that is down are counted", func() bool {
		return f.counters().Sum(onTunnel("business")).Dropped.SiteDown == 1
	})
	for range 2 { // then a cluster is started, and started anew
		f.plug("b")
		eventually(t, "attached", func() bool {
			f.pipe("a").in <- tcp(podA, podB, 40000, 31111, 0)
			return len(f.pipe("b").out) > 0
		})
	}
	if err := f.set("business", "a", "b", Patch{State: new(Blackhole)}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.putSite(siteB()); err != nil {
		t.Fatal(err)
	}
	if got := f.status().Tunnels[0].Links[0]; got.State != Blackhole {
		t.Errorf("attaching anew changed settings: %+v", got)
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"podCIDRs: 10.11.0.0/24 overlaps 10.11.0.0/24": func(c *Config) { c.Sites[1].PodCIDRs = siteA().PodCIDRs },
		"podCIDRs: there is none":                      func(c *Config) { c.Sites[1].PodCIDRs = nil },
		`site: "*" is not a name`:                      func(c *Config) { c.Sites[1].Name = "*" },
		"device: \"a-name-that-is-too-long\"":          func(c *Config) { c.Sites[1].Device = "a-name-that-is-too-long" },
		"tunnels: lte is there twice":                  func(c *Config) { c.Tunnels = append(c.Tunnels, Tunnel{Name: "lte"}) },
		"tunnel lte: latency: -1ns":                    func(c *Config) { c.Tunnels[1].Latency = -1 },
		`default: there is no tunnel "mpls"`:           func(c *Config) { c.Default = "mpls" },
		`classes: port 443: tunnel: not found: there is no "mpls"; there are business, lte, internet`: func(c *Config) { c.Classes[443] = "mpls" },
		"classes: 0 is not a port": func(c *Config) { c.Classes[0] = "lte" },
	} {
		cfg := twoSites()
		change(&cfg)
		_, err := newRouter(cfg, (&fabric{}).attach, newTimerAlarm, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
