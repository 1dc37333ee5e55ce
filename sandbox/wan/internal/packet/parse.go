// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// IP protocol numbers that the SD-WAN knows (IANA "Assigned Internet Protocol Numbers").
const (
	protoHopByHop = 0
	ProtoICMP     = 1
	ProtoTCP      = 6
	ProtoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	ProtoICMPv6   = 58
	protoDestOpts = 60
)

// TCP flags (RFC 9293, 3.1).
const (
	FlagFIN = 0x01
	FlagSYN = 0x02
	FlagRST = 0x04
	FlagACK = 0x10
)

// Errors of Parse. Both mean that the packet cannot be routed at all; a transport header that cannot be read is no error.
var (
	ErrVersion   = errors.New("packet is neither IPv4 nor IPv6")
	ErrTruncated = errors.New("packet is shorter than its IP header says")
)

// Header is what the SD-WAN reads of a packet.
type Header struct {
	Src, Dst netip.Addr
	Version  uint8 // 4 or 6
	Proto    uint8 // transport protocol, behind any IPv6 extension headers
	Flags    uint8 // TCP flags; 0 where the packet has no TCP header
	// SrcPort and DstPort are TCP ports; 0 for every other protocol and for a fragment that is not the first.
	SrcPort, DstPort uint16
	// Fragment says that the packet is one of several fragments, Later that it is not the first of them. FragID joins them.
	Fragment, Later bool
	FragID          uint32
	// Length is the packet's length in bytes as its IP header gives it.
	Length int

	transport int // offset of the transport header
}

// IsTCP says whether ports and flags were read from a TCP header in this very packet.
func (h *Header) IsTCP() bool { return h.Proto == ProtoTCP && !h.Later && h.transport != 0 }

// Opens says whether the packet asks for a new TCP connection: SYN without ACK.
func (h *Header) Opens() bool { return h.Flags&(FlagSYN|FlagACK) == FlagSYN }

// Parse reads the headers of the IP packet b into h. It keeps no reference to b.
func Parse(b []byte, h *Header) error {
	if len(b) == 0 {
		return ErrTruncated
	}
	*h = Header{Version: b[0] >> 4}
	switch h.Version {
	case 4:
		return h.parse4(b)
	case 6:
		return h.parse6(b)
	}
	return ErrVersion
}

func (h *Header) parse4(b []byte) error {
	if len(b) < 20 {
		return ErrTruncated
	}
	ihl := int(b[0]&0x0f) * 4
	h.Length = int(binary.BigEndian.Uint16(b[2:]))
	if ihl < 20 || h.Length < ihl || h.Length > len(b) {
		return ErrTruncated
	}
	h.Src = netip.AddrFrom4([4]byte(b[12:16]))
	h.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	h.Proto = b[9]
	frag := binary.BigEndian.Uint16(b[6:])
	h.setFragment(frag&0x1fff, frag&0x2000 != 0, uint32(binary.BigEndian.Uint16(b[4:])))
	h.parseTransport(b[:h.Length], ihl)
	return nil
}

func (h *Header) parse6(b []byte) error {
	if len(b) < 40 {
		return ErrTruncated
	}
	h.Length = 40 + int(binary.BigEndian.Uint16(b[4:]))
	if h.Length > len(b) {
		return ErrTruncated
	}
	h.Src = netip.AddrFrom16([16]byte(b[8:24]))
	h.Dst = netip.AddrFrom16([16]byte(b[24:40]))
	h.Proto = b[6]
	h.parseTransport(b[:h.Length], h.skipExtensions(b[:h.Length]))
	return nil
}

// skipExtensions walks the IPv6 extension headers (RFC 8200, 4), sets h.Proto to what follows them, and returns its offset;
// 0 where the chain is cut off.
func (h *Header) skipExtensions(b []byte) int {
	at := 40
	for {
		var size int
		switch h.Proto {
		case protoHopByHop, protoRouting, protoDestOpts:
			if at+8 > len(b) {
				return 0
			}
			size = 8 + int(b[at+1])*8
		case protoAH: // RFC 4302 counts in units of four bytes, less two
			if at+8 > len(b) {
				return 0
			}
			size = 8 + int(b[at+1])*4
		case protoFragment:
			if at+8 > len(b) {
				return 0
			}
			size = 8
			offset := binary.BigEndian.Uint16(b[at+2:])
			h.setFragment(offset>>3, offset&1 != 0, binary.BigEndian.Uint32(b[at+4:]))
		default:
			return at
		}
		h.Proto = b[at]
		if at += size; h.Later {
			return at // what follows is payload, whatever the next header field says of the first fragment
		}
	}
}

func (h *Header) setFragment(offset uint16, more bool, id uint32) {
	h.Fragment = offset != 0 || more
	h.Later = offset != 0
	if h.Fragment {
		h.FragID = id
	}
}

func (h *Header) parseTransport(b []byte, at int) {
	if at == 0 || h.Later {
		return
	}
	if h.Proto != ProtoTCP {
		h.transport = at
		return
	}
	if at+20 > len(b) {
		return
	}
	h.transport = at
	h.SrcPort = binary.BigEndian.Uint16(b[at:])
	h.DstPort = binary.BigEndian.Uint16(b[at+2:])
	h.Flags = b[at+13]
}
