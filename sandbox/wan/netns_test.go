// SPDX-License-Identifier: Apache-2.0

//go:build netns

package wan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// These tests need root: they make network namespaces with TUN devices and let the kernel's own TCP speak through the SD-WAN.

// place is a network namespace with one address of each family, whose only route leads into the SD-WAN.
type place struct {
	netns  string // name
	v4, v6 netip.Addr
	site   Site
}

func (p place) path() string { return "/run/netns/" + p.netns }

func newPlace(t testing.TB, name string, number int) place {
	t.Helper()
	p := place{
		netns: fmt.Sprintf("mcwan-test-%d-%s", os.Getpid(), name),
		v4:    netip.MustParseAddr(fmt.Sprintf("10.%d.0.1", number)),
		v6:    netip.MustParseAddr(fmt.Sprintf("fd00:%d::1", number)),
	}
	p.site = Site{Name: name, NetnsPath: p.path(), Device: defaultDevice, PodCIDRs: []netip.Prefix{
		netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/24", number)), netip.MustParsePrefix(fmt.Sprintf("fd00:%d::/64", number)),
	}}
	t.Cleanup(func() { p.remove(t) })
	p.create(t)
	return p
}

func (p place) create(t testing.TB) {
	t.Helper()
	ip(t, "netns", "add", p.netns)
	for _, args := range []string{
		"link set lo up",
		"tuntap add dev wan0 mode tun", // what DeviceFlags stand for
		"addr add " + p.v4.String() + "/32 dev lo",
		"addr add " + p.v6.String() + "/128 dev lo nodad",
		"link set wan0 up",
		"route add 10.0.0.0/8 dev wan0 src " + p.v4.String(),
		"route add fd00::/16 dev wan0 src " + p.v6.String(),
	} {
		ip(t, append([]string{"-n", p.netns}, strings.Fields(args)...)...)
	}
}

func (p place) remove(t testing.TB) { ip(t, "netns", "del", p.netns) }

func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (p place) dial(network string, to netip.AddrPort, timeout time.Duration) (c net.Conn, err error) {
	err = inNetns(p.path(), func() error {
		var err error
		c, err = net.DialTimeout(network, to.String(), timeout)
		return err
	})
	return c, err
}

// echo serves TCP on an address of p and sends back what it gets.
func (p place) echo(t testing.TB, at netip.AddrPort) {
	t.Helper()
	var l net.Listener
	err := inNetns(p.path(), func() error {
		var err error
		l, err = net.Listen("tcp", at.String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go serveEcho(l)
}

// serveEcho sends back what it gets, until l is closed.
func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// exchange sends a message over c and waits for its echo.
func exchange(c net.Conn, timeout time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 16))
	return err
}

// startWAN runs an SD-WAN between places, with latency on all its tunnels, until the test ends.
func startWAN(t testing.TB, latency time.Duration, places ...place) *Client {
	t.Helper()
	cfg := netnsConfig(filepath.Join(t.TempDir(), "wan.sock"), latency, places...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	c := NewClient(cfg.ControlSocket)
	waitAttached(t, c)
	return c
}

func netnsConfig(socket string, latency time.Duration, places ...place) Config {
	cfg := Config{
		ControlSocket: socket, Classes: Classes{31111: "business"}, Log: slog.New(slog.DiscardHandler),
		Tunnels: []Tunnel{{Name: "business"}, {Name: "internet"}},
	}
	for i := range cfg.Tunnels {
		cfg.Tunnels[i].Latency = Duration(latency)
	}
	for _, p := range places {
		cfg.Sites = append(cfg.Sites, p.site)
	}
	return cfg
}

func waitAttached(t testing.TB, c *Client) {
	t.Helper()
	eventually(t, "the SD-WAN is up and holds all devices", func() bool {
		st, err := c.Status(t.Context())
		return err == nil && !slices.ContainsFunc(st.Sites, func(s SiteStatus) bool { return !s.Attached })
	})
}

func set(t testing.TB, c *Client, from, to string, p Patch) {
	t.Helper()
	if err := c.Set(t.Context(), "business", from, to, p); err != nil {
		t.Fatal(err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %s", err, want)
	}
}
