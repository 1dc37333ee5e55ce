// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
	"github.com/l7mp/mc-wan/sandbox/wan/internal/packettest"
)

var (
	a4, b4 = netip.MustParseAddr("10.11.0.5"), netip.MustParseAddr("10.12.0.7")
	a6, b6 = netip.MustParseAddr("fd00:11::5"), netip.MustParseAddr("fd00:12::7")
)

func TestParseTCP(t *testing.T) {
	for _, pair := range [][2]netip.Addr{{a4, b4}, {a6, b6}} {
		b := packettest.TCP{Src: pair[0], Dst: pair[1], SrcPort: 40000, DstPort: 31111, Flags: packet.FlagSYN}.Bytes()
		var h packet.Header
		if err := packet.Parse(b, &h); err != nil {
			t.Fatal(err)
		}
		if h.Src != pair[0] || h.Dst != pair[1] || h.SrcPort != 40000 || h.DstPort != 31111 {
			t.Errorf("read %v:%d -> %v:%d of a packet %v:40000 -> %v:31111", h.Src, h.SrcPort, h.Dst, h.DstPort, pair[0], pair[1])
		}
		if !h.IsTCP() || !h.Opens() || h.Length != len(b) {
			t.Errorf("%v: IsTCP %v, Opens %v, Length %d of %d", pair[0], h.IsTCP(), h.Opens(), h.Length, len(b))
		}
	}
}

func TestParseSkipsIPv6Extensions(t *testing.T) {
	tcp := packettest.TCP{Src: a6, Dst: b6, SrcPort: 1, DstPort: 31112}.Bytes()[40:]
	options := append([]byte{60, 0, 1, 4, 0, 0, 0, 0}, // hop-by-hop, then destination options
		append([]byte{6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, tcp...)...)
	var h packet.Header
	if err := packet.Parse(packettest.IP(a6, b6, 0, options), &h); err != nil {
		t.Fatal(err)
	}
	if !h.IsTCP() || h.DstPort != 31112 {
		t.Errorf("TCP %v, port %d behind extension headers, want TCP to 31112", h.IsTCP(), h.DstPort)
	}
}

func TestParseRefusesWhatIsNotIP(t *testing.T) {
	good := packettest.TCP{Src: a4, Dst: b4}.Bytes()
	for name, c := range map[string]struct {
		packet []byte
		want   error
	}{
		"empty":       {nil, packet.ErrTruncated},
		"cut header":  {good[:12], packet.ErrTruncated},
		"cut payload": {good[:30], packet.ErrTruncated},
		"version 5":   {[]byte{5 << 4, 0, 0, 0}, packet.ErrVersion},
		"cut IPv6":    {packettest.TCP{Src: a6, Dst: b6}.Bytes()[:59], packet.ErrTruncated},
	} {
		var h packet.Header
		if err := packet.Parse(c.packet, &h); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func TestLaterFragmentsTakeTheFirstOnesPorts(t *testing.T) {
	whole := packettest.TCP{Src: a4, Dst: b4, SrcPort: 40000, DstPort: 31111, Payload: make([]byte, 100)}.Bytes()
	head, tail := packettest.Fragment4(whole, 77, 40)
	_, stray := packettest.Fragment4(whole, 78, 40)
	var f packet.Fragments
	for _, c := range []struct {
		name string
		b    []byte
		port uint16
	}{{"later fragment without its first", tail, 0}, {"first", head, 31111}, {"later", tail, 31111}, {"of another packet", stray, 0}} {
		var h packet.Header
		if err := packet.Parse(c.b, &h); err != nil {
			t.Fatal(err)
		}
		if f.Resolve(&h); h.DstPort != c.port {
			t.Errorf("%s: port %d, want %d", c.name, h.DstPort, c.port)
		}
	}
}

func TestFragmentsForgetTheOldest(t *testing.T) {
	whole := packettest.TCP{Src: a4, Dst: b4, SrcPort: 40000, DstPort: 31111, Payload: make([]byte, 100)}.Bytes()
	var f packet.Fragments
	resolve := func(b []byte) uint16 {
		var h packet.Header
		if err := packet.Parse(b, &h); err != nil {
			t.Fatal(err)
		}
		f.Resolve(&h)
		return h.DstPort
	}
	for id := range uint16(1000) {
		head, _ := packettest.Fragment4(whole, id, 40)
		resolve(head)
	}
	_, first := packettest.Fragment4(whole, 0, 40)
	_, last := packettest.Fragment4(whole, 999, 40)
	if resolve(first) != 0 || resolve(last) != 31111 {
		t.Errorf("after 1000 packets the oldest resolves to %d and the newest to %d, want 0 and 31111", resolve(first), resolve(last))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(packettest.TCP{Src: a4, Dst: b4, Flags: packet.FlagSYN}.Bytes())
	f.Add(packettest.TCP{Src: a6, Dst: b6, Flags: packet.FlagACK}.Bytes())
	f.Add(packettest.IP(a6, b6, 0, []byte{60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0}))
	f.Add(packettest.IP(a4, b4, 1, []byte{8, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h packet.Header
		if packet.Parse(b, &h) != nil {
			return
		}
		var buf [packet.MaxReject]byte
		reply := packet.Reject(buf[:], b, &h)
		if reply == nil {
			return
		}
		var r packet.Header
		if err := packet.Parse(reply, &r); err != nil || r.Dst != h.Src || r.Src != h.Dst {
			t.Errorf("the answer to %v -> %v reads as %v -> %v, error %v", h.Src, h.Dst, r.Src, r.Dst, err)
		}
	})
}
