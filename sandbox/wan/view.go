// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"net/netip"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

const (
	maxTunnels = 250
	noClass    = 255
)

// classTable gives the number of the tunnel of each port, or noClass.
type classTable [1 << 16]uint8

// view is all that forwarding from one site looks at. It never changes; a change of the configuration makes a new one.
type view struct {
	classes *classTable
	deflt   uint8 // tunnel of what no class matches
	routes  []route
	nowhere *exit
	lost    *link // in nowhere: counts what has no route
}

// route leads to another site.
type route struct {
	prefix netip.Prefix
	exit   *exit
	links  []*link // by tunnel number
}

// classify returns the number of the tunnel for a packet and the port that it was chosen by, 0 if by none.
func (v *view) classify(h *packet.Header) (tunnel uint8, port uint16) {
	if h.DstPort != 0 {
		if t := v.classes[h.DstPort]; t != noClass {
			return t, h.DstPort
		}
	}
	if h.SrcPort != 0 {
		if t := v.classes[h.SrcPort]; t != noClass {
			return t, h.SrcPort
		}
	}
	return v.deflt, 0
}

// forward puts a packet on its way at the time now and returns what became of it.
func (v *view) forward(now time.Duration, h *packet.Header, data []byte) reason {
	tunnel, port := v.classify(h)
	key := flowKey{src: h.Src, dst: h.Dst, port: port}
	for i := range v.routes {
		if r := &v.routes[i]; r.prefix.Contains(h.Dst) {
			return r.exit.send(now, r.links[tunnel], key, h.Opens(), data)
		}
	}
	return v.nowhere.send(now, v.lost, key, h.Opens(), data)
}

// linkLocal says whether a destination is one that no router forwards to. Every IPv6 interface sends such packets by itself,
// so they are no sign of a missing route.
func linkLocal(dst netip.Addr) bool { return dst.IsMulticast() || dst.IsLinkLocalUnicast() }
