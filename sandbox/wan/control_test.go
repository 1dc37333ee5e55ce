// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

func TestClientChangesOneDirectionOfOneTunnel(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	c, ctx := f.client(t), t.Context()
	patch := Patch{Latency: new(Duration(80 * time.Millisecond)), Loss: new(Probability(0.02)), State: new(Refused)}
	if err := c.Set(ctx, "business", "a", "b", patch); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ctx, "business", "a", "b", Patch{State: new(Up)}); err != nil {
		t.Fatal(err)
	}
	st, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	plain := Settings{}.withDefaults()
	changed := patch.Apply(plain)
	changed.State = Up
	for _, tunnel := range st.Tunnels {
		for _, l := range tunnel.Links {
			want := plain
			if tunnel.Name == "business" && l.From == "a" {
				want = changed
			}
			if l.Settings != want {
				t.Errorf("%s from %s to %s: %+v, want %+v", tunnel.Name, l.From, l.To, l.Settings, want)
			}
		}
	}
	if err := c.Heal(ctx); err != nil {
		t.Fatal(err)
	}
	if st, err = c.Status(ctx); err != nil || st.Tunnels[0].Links[0].Settings != plain {
		t.Errorf("after healing: %+v, error %v", st.Tunnels[0].Links[0], err)
	}
}

func TestClientCutsASiteOff(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	c, ctx := f.client(t), t.Context()
	if err := c.Set(ctx, Wildcard, "a", Wildcard, Patch{State: new(Blackhole)}); err != nil {
		t.Fatal(err)
	}
	st, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, tunnel := range st.Tunnels {
		for _, l := range tunnel.Links {
			if (l.State == Blackhole) != (l.From == "a") {
				t.Errorf("%s from %s to %s is %s, want all from a black", tunnel.Name, l.From, l.To, l.State)
			}
		}
	}
}

func TestClientRefusals(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	c, ctx := f.client(t), t.Context()
	for want, call := range map[string]func() error{
		`there is no "mpls"; there are business, lte, internet`: func() error { return c.Set(ctx, "mpls", "*", "*", Patch{State: new(Up)}) },
		`to: not found: there is no site "z"; there are a, b, '*' for all`: func() error {
			return c.Set(ctx, "lte", "a", "z", Patch{State: new(Up)})
		},
		`to: a is both ends`:             func() error { return c.Set(ctx, "lte", "a", "a", Patch{State: new(Up)}) },
		`settings: none is given`:        func() error { return c.Set(ctx, "lte", "*", "*", Patch{}) },
		`rate: 1bit is too slow`:         func() error { return c.Set(ctx, "lte", "*", "*", Patch{Rate: new(Bit)}) },
		`there is no "mpls"; there are`:  func() error { return c.SetClasses(ctx, Classes{1: "mpls"}) },
		`site: not found: there is no`:   func() error { return c.RemoveSite(ctx, "z") },
		`podCIDRs: there is none`:        func() error { _, err := c.PutSite(ctx, Site{Name: "z"}); return err },
		`10.12.0.0/24 overlaps 10.12.0.`: func() error { _, err := c.PutSite(ctx, Site{Name: "z", PodCIDRs: siteB().PodCIDRs}); return err },
	} {
		err := call()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if err != nil && strings.Contains(want, "not found") != errors.Is(err, ErrNotFound) && !strings.Contains(want, "mpls") {
			t.Errorf("error %v: matches ErrNotFound %v", err, errors.Is(err, ErrNotFound))
		}
	}
}

func TestClientClassesSitesAndCounters(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b", "c")
	c, ctx := f.client(t), t.Context()
	if err := c.SetClasses(ctx, Classes{8443: "lte"}); err != nil {
		t.Fatal(err)
	}
	before, err := c.Counters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, packet.FlagSYN)
	f.pipe("a").in <- tcp(podA, podB, 40000, 8443, packet.FlagSYN)
	receive(t, f.pipe("b"))
	receive(t, f.pipe("b"))
	after, err := c.Counters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d := after.Since(before)
	if d.Sum(onTunnel("lte")).Connections != 1 || d.Sum(onTunnel("internet")).Connections != 1 || d.Sum(onTunnel("business")).Packets != 0 {
		t.Errorf("with port 8443 the only class: %+v", d.Flows)
	}
	if st, err := c.PutSite(ctx, siteC()); err != nil || !st.Attached {
		t.Errorf("put site: %+v, error %v", st, err)
	}
	if err := c.RemoveSite(ctx, "c"); err != nil {
		t.Error(err)
	}
	if err := c.ResetCounters(ctx); err != nil {
		t.Error(err)
	}
	if got, err := c.Counters(ctx); err != nil || len(got.Flows) != 0 {
		t.Errorf("after a reset: %+v, error %v", got, err)
	}
}

func TestRunOwnsItsSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "wan.sock")
	if err := os.WriteFile(socket, nil, 0o600); err != nil { // what a killed process leaves behind does not answer either
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	cfg := Config{ControlSocket: socket}
	go func() { done <- Run(ctx, cfg) }()
	eventually(t, "the SD-WAN answers", func() bool { _, err := NewClient(socket).Status(ctx); return err == nil })
	if err := Run(ctx, cfg); err == nil || !strings.Contains(err.Error(), "another SD-WAN serves it; stop that one first") {
		t.Errorf("a second one on the same socket: error %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("after its context ended: %v", err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if _, err := NewClient(socket).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "is the sandbox up?") {
		t.Errorf("with nobody there: error %v", err)
	}
}
