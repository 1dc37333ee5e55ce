// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// sum adds b to the one's complement sum acc (RFC 1071), unfolded.
func sum(acc uint64, b []byte) uint64 {
	for len(b) >= 4 {
		acc += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		acc += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint64(b[0]) << 8
	}
	return acc
}

// fold returns the Internet checksum of what was added up in acc.
func fold(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

// transportChecksum returns the checksum of segment, sent from src to dst (4 or 16 bytes each), under the pseudo-header of
// RFC 9293, 3.1 and RFC 8200, 8.1; the checksum field in segment must be zero.
func transportChecksum(src, dst []byte, proto uint8, segment []byte) uint16 {
	acc := sum(sum(0, src), dst)
	acc += uint64(proto) + uint64(len(segment))
	return fold(sum(acc, segment))
}
