// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
	"github.com/l7mp/mc-wan/sandbox/wan/internal/packettest"
)

// pipe is a device in memory.
type pipe struct {
	in, out chan []byte
	once    sync.Once
	closed  chan struct{}
}

func newPipe() *pipe {
	return &pipe{in: make(chan []byte, 1024), out: make(chan []byte, 1024), closed: make(chan struct{})}
}

func (p *pipe) Read(b []byte) (int, error) {
	select {
	case data := <-p.in:
		return copy(b, data), nil
	case <-p.closed:
		return 0, io.EOF
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case p.out <- append([]byte(nil), b...):
		return len(b), nil
	case <-p.closed:
		return 0, io.ErrClosedPipe
	}
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// discard takes what comes out, until p is closed.
func (p *pipe) discard() {
	for {
		select {
		case <-p.out:
		case <-p.closed:
			return
		}
	}
}

// fabric is a router between sites in memory.
type fabric struct {
	*router
	mu    sync.Mutex
	pipes map[string]*pipe // by device name; one that is missing cannot be attached
}

var errNoDevice = errors.New("there is no such device")

func newFabric(t *testing.T, cfg Config, devices ...string) *fabric {
	t.Helper()
	f := &fabric{pipes: make(map[string]*pipe)}
	for _, d := range devices {
		f.plug(d)
	}
	start := time.Now()
	r, err := newRouter(cfg, f.attach, newTimerAlarm, func() time.Duration { return time.Since(start) })
	if err != nil {
		t.Fatal(err)
	}
	f.router = r
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fabric) plug(device string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pipes[device] = newPipe()
}

func (f *fabric) pipe(device string) *pipe {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pipes[device]
}

func (f *fabric) attach(s Site) (*attachment, error) {
	p := f.pipe(s.Device)
	if p == nil {
		return nil, errNoDevice
	}
	return &attachment{device: p, gone: func() bool { return f.pipe(s.Device) != p }}, nil
}

// client serves f's control API and returns a client of it.
func (f *fabric) client(t *testing.T) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "wan.sock")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	l, err := listenControl(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- serveControl(ctx, f.router, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return NewClient(socket)
}

var (
	podA  = netip.MustParseAddr("10.11.0.5")
	podB  = netip.MustParseAddr("10.12.0.7")
	podB6 = netip.MustParseAddr("fd00:12::7")
	podA6 = netip.MustParseAddr("fd00:11::5")
)

// siteA and siteB have the devices a and b.
func siteA() Site {
	return Site{Name: "a", Device: "a", PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.11.0.0/24"), netip.MustParsePrefix("fd00:11::/64")}}
}

func siteB() Site {
	return Site{Name: "b", Device: "b", PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.12.0.0/24"), netip.MustParsePrefix("fd00:12::/64")}}
}

func siteC() Site {
	return Site{Name: "c", Device: "c", PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.13.0.0/24")}}
}

// twoSites is a configuration without delays.
func twoSites() Config {
	return Config{
		Sites:   []Site{siteA(), siteB()},
		Tunnels: []Tunnel{{Name: "business"}, {Name: "lte"}, {Name: "internet"}},
		Classes: Classes{31111: "business", 31112: "lte"},
		Log:     slog.New(slog.DiscardHandler),
	}
}

func tcp(src, dst netip.Addr, sport, dport uint16, flags byte) []byte {
	return packettest.TCP{Src: src, Dst: dst, SrcPort: sport, DstPort: dport, Flags: flags}.Bytes()
}

// receive returns the next packet that comes out of p.
func receive(t *testing.T, p *pipe) packet.Header {
	t.Helper()
	h, _ := receiveData(t, p)
	return h
}

func receiveData(t *testing.T, p *pipe) (packet.Header, []byte) {
	t.Helper()
	select {
	case b := <-p.out:
		var h packet.Header
		if err := packet.Parse(b, &h); err != nil {
			t.Fatal(err)
		}
		return h, b
	case <-time.After(10 * time.Second):
		t.Fatal("no packet came out")
		return packet.Header{}, nil
	}
}

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	for deadline := time.Now().Add(20 * time.Second); !f(); <-every.C {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
	}
}
