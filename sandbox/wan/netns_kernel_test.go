// SPDX-License-Identifier: Apache-2.0

//go:build netns

package wan

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

// bothFamilies calls f with the addresses of b.
func bothFamilies(t *testing.T, b place, f func(t *testing.T, to netip.AddrPort)) {
	t.Run("IPv4", func(t *testing.T) { f(t, netip.AddrPortFrom(b.v4, 31111)) })
	t.Run("IPv6", func(t *testing.T) { f(t, netip.AddrPortFrom(b.v6, 31111)) })
}

func TestKernelLatency(t *testing.T) {
	a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
	c := startWAN(t, 20*time.Millisecond, a, b)
	bothFamilies(t, b, func(t *testing.T, to netip.AddrPort) {
		b.echo(t, to)
		conn, err := a.dial("tcp", to, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var took []time.Duration
		for range 100 {
			start := time.Now()
			if err := exchange(conn, 5*time.Second); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		t.Logf("round trips of a tunnel of 40 ms: least %v, median %v, 90 %% within %v, most %v", took[0], took[50], took[90], took[99])
		// A busy machine makes most of them late, never early.
		if took[0] < 40*time.Millisecond || took[0] > 41*time.Millisecond {
			t.Errorf("least %v, want 40 ms, and at most 1 ms more", took[0])
		}
	})
	counters, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	business := counters.Sum(onTunnel("business"))
	if business.Connections != 2 || business.Dropped.Total() != 0 || counters.Sum(onTunnel("internet")).Packets != 0 {
		t.Errorf("counted %+v, want two connections on business and nothing elsewhere", counters.Flows)
	}
}

func TestKernelAcceptsResets(t *testing.T) {
	a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
	c := startWAN(t, 5*time.Millisecond, a, b)
	bothFamilies(t, b, func(t *testing.T, to netip.AddrPort) {
		b.echo(t, to)
		conn, err := a.dial("tcp", to, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := exchange(conn, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		set(t, c, "*", "*", Patch{State: new(Refused)})
		defer set(t, c, "*", "*", Patch{State: new(Up)})
		start := time.Now()
		if err := exchange(conn, 5*time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("an open connection got %v, want a reset", err)
		}
		if _, err := a.dial("tcp", to, 5*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a new connection got %v, want to be refused", err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("both took %v, want no waiting", took)
		}
	})
}

func TestKernelAcceptsProhibited(t *testing.T) {
	a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
	c := startWAN(t, 0, a, b)
	if err := c.Set(t.Context(), "internet", "a", "b", Patch{State: new(Refused)}); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[netip.Addr]syscall.Errno{b.v4: syscall.EHOSTUNREACH, b.v6: syscall.EACCES} {
		conn, err := a.dial("udp", netip.AddrPortFrom(to, 53), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := exchange(conn, 5*time.Second); !errors.Is(err, want) {
			t.Errorf("UDP to %v got %v, want %v", to, err, want)
		}
		_ = conn.Close()
	}
}

func TestKernelBlackholeOfOneDirection(t *testing.T) {
	a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
	c := startWAN(t, 5*time.Millisecond, a, b)
	to := netip.AddrPortFrom(b.v4, 31111)
	b.echo(t, to)
	conn, err := a.dial("tcp", to, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	set(t, c, "b", "a", Patch{State: new(Blackhole)})
	before, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := exchange(conn, 2*time.Second); !isTimeout(err) {
		t.Errorf("without a way back: %v, want a timeout", err)
	}
	after, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := after.Since(before).Sum(func(f Flow) bool { return f.From == "a" })
	back := after.Since(before).Sum(func(f Flow) bool { return f.From == "b" })
	if there.Packets == 0 || there.Dropped.Total() != 0 || back.Packets != 0 || back.Dropped.Blackhole == 0 {
		t.Errorf("there %+v, back %+v, want packets to arrive there and vanish on the way back", there, back)
	}
	if err := c.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 16)); err != nil {
		t.Errorf("after healing the connection did not go on: %v", err)
	}
}

// TestAClusterThatIsStartedAnew also proves that the SD-WAN lets go of a namespace that is gone: a veth end in it vanishes, and
// so does the other end.
func TestAClusterThatIsStartedAnew(t *testing.T) {
	a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
	startWAN(t, time.Millisecond, a, b)
	ip(t, "-n", a.netns, "link", "add", "witness", "type", "veth", "peer", "name", "witness", "netns", b.netns)
	to := netip.AddrPortFrom(b.v4, 31111)
	b.remove(t)
	eventually(t, "the old namespace is gone", func() bool {
		var err error
		nsErr := inNetns(a.path(), func() error {
			_, err = net.InterfaceByName("witness")
			return nil
		})
		return nsErr == nil && err != nil
	})
	b.create(t)
	b.echo(t, to)
	eventually(t, "a connection to the new namespace", func() bool {
		conn, err := a.dial("tcp", to, 200*time.Millisecond)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// TestKernelQueuesABurst reads late, as a process does that has to wait for a processor: nothing may be lost meanwhile.
func TestKernelQueuesABurst(t *testing.T) {
	a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
	dev, err := openTUN(a.site)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	conn, err := a.dial("udp", netip.AddrPortFrom(b.v4, 53), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const sent = 5000
	for range sent {
		if _, err := conn.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	read := time.AfterFunc(10*time.Second, func() { _ = dev.Close() })
	defer read.Stop()
	buf := make([]byte, maxPacket)
	for got := 0; got < sent; {
		n, err := dev.Read(buf)
		if err != nil {
			t.Fatalf("%d of %d packets were kept: %v", got, sent, err)
		}
		var h packet.Header
		if packet.Parse(buf[:n], &h) == nil && h.Proto == packet.ProtoUDP {
			got++
		}
	}
}

func TestDevicesThatCannotBeAttached(t *testing.T) {
	a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
	startWAN(t, 0, a)
	ip(t, "-n", b.netns, "link", "del", "wan0")
	for want, s := range map[string]Site{
		"device wan0 is held by another process; stop the other SD-WAN first":       a.site,
		"there is no device wan0; create it with `ip tuntap add dev wan0 mode tun`": b.site,
		"no such file or directory; is the cluster up?":                             {NetnsPath: "/run/netns/mcwan-none", Device: "wan0"},
	} {
		at, err := openTUN(s)
		if err == nil {
			_ = at.Close()
		}
		wantError(t, err, want)
	}
	ip(t, "-n", b.netns, "tuntap", "add", "dev", "wan0", "mode", "tun", "multi_queue")
	_, err := openTUN(b.site)
	wantError(t, err, "which must be a TUN device without multi_queue")
}
