// SPDX-License-Identifier: Apache-2.0

package packet

import "net/netip"

// rememberedFragments bounds the memory of one Fragments.
const rememberedFragments = 256

// Fragments remembers the TCP ports of first fragments, so that the later ones, which carry no ports, take the same way. It
// holds the last few packets only: a later fragment whose first has not passed, or passed too long ago, stays without ports.
// The zero value is ready; it is not safe for concurrent use.
type Fragments struct {
	ports map[fragmentKey]fragmentPorts
	order [rememberedFragments]fragmentKey // ring of the keys in ports, oldest at next
	next  int
}

type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

type fragmentPorts struct{ src, dst uint16 }

// Resolve remembers h's ports if it is the first fragment of a TCP packet, and fills them in if it is a later one.
func (f *Fragments) Resolve(h *Header) {
	if !h.Fragment {
		return
	}
	key := fragmentKey{src: h.Src, dst: h.Dst, id: h.FragID, proto: h.Proto}
	if h.Later {
		p := f.ports[key]
		h.SrcPort, h.DstPort = p.src, p.dst
		return
	}
	if h.IsTCP() {
		f.remember(key, fragmentPorts{src: h.SrcPort, dst: h.DstPort})
	}
}

func (f *Fragments) remember(key fragmentKey, p fragmentPorts) {
	if f.ports == nil {
		f.ports = make(map[fragmentKey]fragmentPorts, rememberedFragments)
	}
	if _, known := f.ports[key]; !known {
		delete(f.ports, f.order[f.next])
		f.order[f.next] = key
		f.next = (f.next + 1) % rememberedFragments
	}
	f.ports[key] = p
}
