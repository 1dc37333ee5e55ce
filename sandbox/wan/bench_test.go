// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
	"github.com/l7mp/mc-wan/sandbox/wan/internal/packettest"
)

func benchPacket() []byte {
	return packettest.TCP{Src: podA, Dst: podB, SrcPort: 40000, DstPort: 31111, Flags: packet.FlagACK, Payload: make([]byte, 200)}.Bytes()
}

// BenchmarkForward is the work of one packet without any input and output: parse, classify, impair, count, hold, release.
func BenchmarkForward(b *testing.B) {
	for name, s := range map[string]Settings{
		"plain":    {Latency: Duration(ms(1))},
		"impaired": {Latency: Duration(ms(1)), Jitter: Duration(ms(1)), Loss: 0.01, Rate: Gbit},
	} {
		b.Run(name, func(b *testing.B) {
			x := newExit(newFrames(), forwarded, func(time.Duration) {})
			l := newLink("business", "a", "b", s.withDefaults(), 1)
			x.addLinks(l)
			table := new(classTable)
			v := &view{classes: table, routes: []route{{prefix: siteB().PodCIDRs[0], exit: x, links: []*link{l}}}}
			data, now, out := benchPacket(), time.Duration(0), make([]*frame, 0, batch)
			b.ReportAllocs()
			for b.Loop() {
				var h packet.Header
				if err := packet.Parse(data, &h); err != nil {
					b.Fatal(err)
				}
				now += 10 * time.Microsecond
				v.forward(now, &h, data)
				for _, f := range x.due(now, out[:0]) {
					x.frames.free(f)
				}
			}
		})
	}
}

// BenchmarkPipes sends packets through a whole SD-WAN, readers, writers and timers included, whose devices are sockets instead of
// TUN devices: what it costs but for the kernel's TCP/IP.
func BenchmarkPipes(b *testing.B) {
	aIn, aOut := socketPair(b)
	bIn, bOut := socketPair(b)
	devices := map[string]device{"a": aIn, "b": bIn}
	cfg := twoSites()
	cfg.Tunnels[0].Latency = Duration(ms(1))
	start := time.Now()
	r, err := newRouter(cfg, func(s Site) (*attachment, error) {
		return &attachment{device: devices[s.Device], gone: func() bool { return false }}, nil
	}, newTimerAlarm, func() time.Duration { return time.Since(start) })
	if err != nil {
		b.Fatal(err)
	}
	defer r.close()
	window := make(chan struct{}, 5000) // packets under way, as a window of TCP would bound them
	go func() {
		buf := make([]byte, 2048)
		for {
			if _, err := bOut.Read(buf); err != nil {
				return
			}
			<-window
		}
	}()
	data := benchPacket()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		window <- struct{}{}
		if _, err := aOut.Write(data); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(window) { // until the last has arrived
		window <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}

func socketPair(b *testing.B) (*os.File, *os.File) {
	b.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	x, y := os.NewFile(uintptr(fds[0]), "device"), os.NewFile(uintptr(fds[1]), "peer")
	b.Cleanup(func() {
		_ = x.Close()
		_ = y.Close()
	})
	return x, y
}
