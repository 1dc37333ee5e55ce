// SPDX-License-Identifier: Apache-2.0

// Package wan is a software SD-WAN: a user-space router over TUN devices that joins sites (the network namespaces of
// clusters) and is the only way between them.
//
// A packet that a site sends into its device is sorted into a tunnel by its TCP source or destination port and by nothing
// else; what matches no class takes the default tunnel. Each tunnel has, for every ordered pair of sites, latency, jitter,
// loss, a rate, and a state (up, refused, blackhole), all of which can be changed while traffic runs.
//
// Order is kept: packets of one tunnel leave in the direction from one site to another in the order in which they came,
// whatever the jitter.
//
// The package has three layers. Packets, links and counters (internal/packet, link.go, counters.go) are pure: they take the
// time as an argument. The router (router.go, exit.go) joins links to sites. Devices, namespaces and timers (tun_linux.go,
// alarm_linux.go, site.go) are behind small interfaces.
package wan
