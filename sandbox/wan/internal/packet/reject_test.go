// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
	"github.com/l7mp/mc-wan/sandbox/wan/internal/packettest"
)

func reject(t *testing.T, b []byte) []byte {
	t.Helper()
	var h packet.Header
	if err := packet.Parse(b, &h); err != nil {
		t.Fatal(err)
	}
	return packet.Reject(make([]byte, packet.MaxReject), b, &h)
}

// onesComplement adds up b by RFC 1071 word for word; over data that holds its own checksum it gives 0xffff.
func onesComplement(parts ...[]byte) uint16 {
	var acc uint32
	for _, b := range parts {
		for i := range b {
			if i%2 == 0 {
				acc += uint32(b[i]) << 8
			} else {
				acc += uint32(b[i])
			}
			acc = acc>>16 + acc&0xffff
		}
	}
	return uint16(acc)
}

func pseudoHeader(ip []byte, proto byte, size int) []byte {
	addresses := ip[12:20]
	if ip[0]>>4 == 6 {
		addresses = ip[8:40]
	}
	return append(append([]byte(nil), addresses...), 0, proto, byte(size>>8), byte(size))
}

func TestResetNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		flags    byte
		payload  int
		seq, ack uint32
		want     byte
	}{
		"SYN":                {packet.FlagSYN, 0, 0, 1001, packet.FlagRST | packet.FlagACK},
		"SYN with data":      {packet.FlagSYN, 10, 0, 1011, packet.FlagRST | packet.FlagACK},
		"data of open":       {packet.FlagACK, 100, 2000, 0, packet.FlagRST},
		"FIN of open":        {packet.FlagACK | packet.FlagFIN, 0, 2000, 0, packet.FlagRST},
		"FIN without an ACK": {packet.FlagFIN, 5, 0, 1006, packet.FlagRST | packet.FlagACK},
	} {
		for _, pair := range [][2]netip.Addr{{a4, b4}, {a6, b6}} {
			got := reject(t, packettest.TCP{Src: pair[0], Dst: pair[1], SrcPort: 40000, DstPort: 31111, Seq: 1000, Ack: 2000,
				Flags: c.flags, Payload: make([]byte, c.payload)}.Bytes())
			var h packet.Header
			if err := packet.Parse(got, &h); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if h.Src != pair[1] || h.Dst != pair[0] || h.SrcPort != 31111 || h.DstPort != 40000 {
				t.Errorf("%s: reset from %v:%d to %v:%d", name, h.Src, h.SrcPort, h.Dst, h.DstPort)
			}
			tcp := got[len(got)-20:]
			seq, ack := binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:])
			if seq != c.seq || ack != c.ack || h.Flags != c.want {
				t.Errorf("%s: reset with seq %d, ack %d, flags %#x, want %d, %d, %#x", name, seq, ack, h.Flags, c.seq, c.ack, c.want)
			}
			if s := onesComplement(pseudoHeader(got, packet.ProtoTCP, 20), tcp); s != 0xffff {
				t.Errorf("%s to %v: TCP checksum is wrong (sums up to %#x)", name, pair[0], s)
			}
			if h.Version == 4 && onesComplement(got[:20]) != 0xffff {
				t.Errorf("%s: IPv4 header checksum is wrong", name)
			}
		}
	}
}

func TestProhibitedQuotesThePacket(t *testing.T) {
	udp := make([]byte, 1400)
	binary.BigEndian.PutUint16(udp[2:], 53)
	got := reject(t, packettest.IP(a4, b4, packet.ProtoUDP, udp))
	if len(got) != 576 || got[9] != packet.ProtoICMP || got[20] != 3 || got[21] != 13 {
		t.Fatalf("IPv4: %d bytes, protocol %d, type %d, code %d, want 576, 1, 3, 13", len(got), got[9], got[20], got[21])
	}
	if onesComplement(got[20:]) != 0xffff {
		t.Error("IPv4: ICMP checksum is wrong")
	}
	got = reject(t, packettest.IP(a6, b6, packet.ProtoUDP, udp))
	if len(got) != 1280 || got[6] != packet.ProtoICMPv6 || got[40] != 1 || got[41] != 1 {
		t.Fatalf("IPv6: %d bytes, protocol %d, type %d, code %d, want 1280, 58, 1, 1", len(got), got[6], got[40], got[41])
	}
	if onesComplement(pseudoHeader(got, packet.ProtoICMPv6, len(got)-40), got[40:]) != 0xffff {
		t.Error("IPv6: ICMP checksum is wrong")
	}
}

func TestNeverAnswered(t *testing.T) {
	whole := packettest.TCP{Src: a4, Dst: b4, Payload: make([]byte, 100)}.Bytes()
	_, later := packettest.Fragment4(whole, 1, 40)
	multicast := netip.MustParseAddr("ff02::2")
	for name, b := range map[string][]byte{
		"reset":               packettest.TCP{Src: a4, Dst: b4, Flags: packet.FlagRST}.Bytes(),
		"later fragment":      later,
		"ICMP error":          packettest.IP(a4, b4, packet.ProtoICMP, []byte{3, 1, 0, 0, 0, 0, 0, 0}),
		"ICMPv6 error":        packettest.IP(a6, b6, packet.ProtoICMPv6, []byte{1, 4, 0, 0, 0, 0, 0, 0}),
		"router solicitation": packettest.IP(a6, multicast, packet.ProtoICMPv6, []byte{133, 0, 0, 0, 0, 0, 0, 0}),
		"from nobody":         packettest.TCP{Src: netip.IPv4Unspecified(), Dst: b4, Flags: packet.FlagSYN}.Bytes(),
		"cut TCP header":      packettest.IP(a4, b4, packet.ProtoTCP, make([]byte, 8)),
	} {
		if got := reject(t, b); got != nil {
			t.Errorf("%s was answered with %x", name, got)
		}
	}
	if reject(t, packettest.IP(a4, b4, packet.ProtoICMP, []byte{8, 0, 0, 0, 0, 1, 0, 1})) == nil {
		t.Error("an echo request was not answered")
	}
}

// TestChecksumOfAKnownPacket holds what the other tests check with against a header from outside of this code base.
func TestChecksumOfAKnownPacket(t *testing.T) {
	known, err := hex.DecodeString("450000730000400040" + "11b861c0a80001c0a800c7")
	if err != nil {
		t.Fatal(err)
	}
	if onesComplement(known) != 0xffff {
		t.Errorf("the test's own sum is wrong: %#x", onesComplement(known))
	}
}
