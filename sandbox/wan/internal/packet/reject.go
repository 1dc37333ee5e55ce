// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// MaxReject is the longest packet that Reject writes: the minimum MTU of IPv6, which an ICMPv6 error must not exceed
// (RFC 4443, 2.4 (c)).
const MaxReject = 1280

const (
	replyTTL = 64

	icmpUnreachable, icmpAdminProhibited     = 3, 13 // RFC 1812, 5.2.7.1
	icmpv6Unreachable, icmpv6AdminProhibited = 1, 1  // RFC 4443, 3.1

	maxICMPv4 = 576 // RFC 1812, 4.3.2.3
)

// Reject writes into dst, which must hold MaxReject bytes, the packet that tells the sender of b that a tunnel refuses it: a
// TCP reset for TCP, "administratively prohibited" of ICMP for everything else. It carries the address of b's destination as
// its source, for the SD-WAN has none of its own. Reject returns nil for packets that must not be answered: resets, ICMP
// errors, fragments other than the first, and packets from or to addresses that are not of one host.
func Reject(dst, b []byte, h *Header) []byte {
	if h.Later || h.transport == 0 || !singleHost(h) {
		return nil
	}
	if h.IsTCP() {
		if h.Flags&FlagRST != 0 {
			return nil
		}
		return reset(dst, b, h)
	}
	if isICMPError(b, h) {
		return nil
	}
	return prohibited(dst, b, h)
}

func singleHost(h *Header) bool {
	return h.Src.IsValid() && !h.Src.IsUnspecified() && !h.Src.IsMulticast() && !h.Dst.IsMulticast() && !h.Dst.IsUnspecified()
}

func isICMPError(b []byte, h *Header) bool {
	if h.transport >= h.Length {
		return h.Proto == ProtoICMP || h.Proto == ProtoICMPv6
	}
	kind := b[h.transport]
	switch h.Proto {
	case ProtoICMP: // queries are listed, for unknown types count as errors (RFC 1122, 3.2.2)
		return kind != 0 && kind != 8 && (kind < 13 || kind > 18)
	case ProtoICMPv6:
		return kind < 128 // RFC 4443, 2.1
	}
	return false
}

// reset answers the TCP segment in b by the rules of RFC 9293, 3.10.7.1: with the number that the segment acknowledges, which
// is the only one the peer takes a reset of an open connection with (RFC 5961, 3.2), else by acknowledging the segment.
func reset(dst, b []byte, h *Header) []byte {
	in := b[h.transport:h.Length]
	var seq, ack uint32
	flags := byte(FlagRST)
	if h.Flags&FlagACK != 0 {
		seq = binary.BigEndian.Uint32(in[8:])
	} else {
		flags |= FlagACK
		ack = binary.BigEndian.Uint32(in[4:]) + segmentLength(in, h)
	}
	at, out := ipReply(dst, h, ProtoTCP, 20)
	tcp := out[at:]
	binary.BigEndian.PutUint16(tcp[0:], h.DstPort)
	binary.BigEndian.PutUint16(tcp[2:], h.SrcPort)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12] = 5 << 4
	tcp[13] = flags
	src, to := addressBytes(out)
	binary.BigEndian.PutUint16(tcp[16:], transportChecksum(src, to, ProtoTCP, tcp))
	return out
}

// Abort writes into dst, which must hold MaxReject bytes, the reset by which the receiver of the segment in b learns that the
// connection is refused: what a stateful edge tells the other end. It has the segment's own numbers, for a receiver that has
// all that came before takes no other (RFC 5961, 3.2). Abort returns nil for what belongs to no open connection.
func Abort(dst, b []byte, h *Header) []byte {
	if h.Later || h.transport == 0 || !singleHost(h) || !h.IsTCP() || h.Flags&(FlagACK|FlagSYN|FlagRST) != FlagACK {
		return nil
	}
	in := b[h.transport:h.Length]
	onwards := *h
	onwards.Src, onwards.Dst = h.Dst, h.Src
	at, out := ipReply(dst, &onwards, ProtoTCP, 20)
	tcp := out[at:]
	copy(tcp[:12], in[:12]) // ports, sequence and acknowledgement
	tcp[12] = 5 << 4
	tcp[13] = FlagRST | FlagACK
	src, to := addressBytes(out)
	binary.BigEndian.PutUint16(tcp[16:], transportChecksum(src, to, ProtoTCP, tcp))
	return out
}

// segmentLength returns SEG.LEN: payload plus one each for SYN and FIN.
func segmentLength(in []byte, h *Header) uint32 {
	n := uint32(0)
	if offset := int(in[12]>>4) * 4; offset < len(in) {
		n = uint32(len(in) - offset)
	}
	if h.Flags&FlagSYN != 0 {
		n++
	}
	if h.Flags&FlagFIN != 0 {
		n++
	}
	return n
}

// prohibited quotes as much of b as an ICMP error may.
func prohibited(dst, b []byte, h *Header) []byte {
	ipHeader, limit, proto := 20, maxICMPv4, uint8(ProtoICMP)
	kind, code := byte(icmpUnreachable), byte(icmpAdminProhibited)
	if h.Version == 6 {
		ipHeader, limit, proto = 40, MaxReject, ProtoICMPv6
		kind, code = icmpv6Unreachable, icmpv6AdminProhibited
	}
	quoted := b[:min(h.Length, limit-ipHeader-8)]
	at, out := ipReply(dst, h, proto, 8+len(quoted))
	icmp := out[at:]
	icmp[0], icmp[1] = kind, code
	copy(icmp[8:], quoted)
	check := fold(sum(0, icmp))
	if h.Version == 6 {
		src, to := addressBytes(out)
		check = transportChecksum(src, to, proto, icmp)
	}
	binary.BigEndian.PutUint16(icmp[2:], check)
	return out
}

// ipReply writes the IP header of an answer to h with size bytes of payload, which it clears, and returns the payload's offset.
func ipReply(dst []byte, h *Header, proto uint8, size int) (int, []byte) {
	if h.Version == 6 {
		out := dst[:40+size]
		clear(out)
		out[0] = 6 << 4
		binary.BigEndian.PutUint16(out[4:], uint16(size))
		out[6], out[7] = proto, replyTTL
		src, to := h.Dst.As16(), h.Src.As16()
		copy(out[8:], src[:])
		copy(out[24:], to[:])
		return 40, out
	}
	out := dst[:20+size]
	clear(out)
	out[0] = 4<<4 | 5
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	out[6] = 0x40 // don't fragment: such a packet needs no id (RFC 6864)
	out[8], out[9] = replyTTL, proto
	src, to := h.Dst.As4(), h.Src.As4()
	copy(out[12:], src[:])
	copy(out[16:], to[:])
	binary.BigEndian.PutUint16(out[10:], fold(sum(0, out[:20])))
	return 20, out
}

func addressBytes(ip []byte) (src, dst []byte) {
	if ip[0]>>4 == 6 {
		return ip[8:24], ip[24:40]
	}
	return ip[12:16], ip[16:20]
}
