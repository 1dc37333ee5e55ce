// SPDX-License-Identifier: Apache-2.0

// Package packet reads the little of an IP packet that the software SD-WAN decides by, and writes the packets with which
// a tunnel turns traffic away. It is pure: bytes in, values out, no allocation per packet.
package packet
