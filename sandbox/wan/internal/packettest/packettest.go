// SPDX-License-Identifier: Apache-2.0

// Package packettest writes IP packets for tests.
package packettest

import (
	"encoding/binary"
	"net/netip"
)

// TCP describes a TCP packet. Src and Dst are of one family.
type TCP struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            byte
	Payload          []byte
}

// Bytes returns the packet, without checksums.
func (p TCP) Bytes() []byte {
	tcp := make([]byte, 20, 20+len(p.Payload))
	binary.BigEndian.PutUint16(tcp[0:], p.SrcPort)
	binary.BigEndian.PutUint16(tcp[2:], p.DstPort)
	binary.BigEndian.PutUint32(tcp[4:], p.Seq)
	binary.BigEndian.PutUint32(tcp[8:], p.Ack)
	tcp[12], tcp[13] = 5<<4, p.Flags
	return IP(p.Src, p.Dst, 6, append(tcp, p.Payload...))
}

// IP returns an IP packet of src's family around payload.
func IP(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if src.Is6() {
		h := make([]byte, 40, 40+len(payload))
		h[0] = 6 << 4
		binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
		h[6], h[7] = proto, 64
		copy(h[8:], src.AsSlice())
		copy(h[24:], dst.AsSlice())
		return append(h, payload...)
	}
	h := make([]byte, 20, 20+len(payload))
	h[0] = 4<<4 | 5
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	h[8], h[9] = 64, proto
	copy(h[12:], src.AsSlice())
	copy(h[16:], dst.AsSlice())
	return append(h, payload...)
}

// Fragment4 cuts the IPv4 packet b in two after first bytes of payload (a multiple of 8) and gives both parts the id.
func Fragment4(b []byte, id uint16, first int) (head, tail []byte) {
	head = append([]byte(nil), b[:20+first]...)
	tail = append(append([]byte(nil), b[:20]...), b[20+first:]...)
	for _, f := range [][]byte{head, tail} {
		binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
		binary.BigEndian.PutUint16(f[4:], id)
	}
	binary.BigEndian.PutUint16(head[6:], 0x2000)
	binary.BigEndian.PutUint16(tail[6:], uint16(first/8))
	return head, tail
}
