// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
)

// Slots is the number of sandboxes that can have addresses at once.
const Slots = 16

// MTU of every link. The SD-WAN adds nothing to a packet, so it is the same everywhere.
const MTU = 1500

// Names of the links inside a cluster's network namespace.
const (
	// BridgeLink is the bridge that pods hang on; the CNI configuration names it.
	BridgeLink = "cni0"
	// WANLink is the TUN device that the SD-WAN reads and writes.
	WANLink = "wan0"
	// ManagementLink leads to the machine and nowhere else.
	ManagementLink = "eth0"
)

// Plan computes every name and address of one sandbox from its name and slot.
//
// Management links use 198.18.0.0/15, which RFC 2544 sets aside for test networks, because they are the only
// addresses that the machine itself sees. Pods and services live inside the namespaces only, and so does all of IPv6:
// fd6d:6377:SLOT::/48 of the unique local addresses of RFC 4193.
type Plan struct {
	Name string
	Slot int
}

// Cluster is the part of a plan that belongs to one cluster.
type Cluster struct {
	// Index counts from 1. Name is "cluster-INDEX": node name, cluster id and kubectl context.
	Index int
	Name  string
	// Namespace is the network namespace's name below /run/netns. HostLink is the machine's end of the management link.
	Namespace string
	HostLink  string
	// Management is the link's network, with the machine's end at HostIP and the node's at NodeIP.
	Management netip.Prefix
	HostIP     netip.Addr
	// Networks are those of IPv4, which every cluster has as its first family; IPv6 are the others.
	Networks
	IPv6 Networks
	// APIIP is the Service "kubernetes", which has one family only.
	APIIP netip.Addr
}

// Networks are a cluster's networks of one address family.
type Networks struct {
	// NodeIP is the node's address. That of IPv4 is on the management link, that of IPv6 is seen inside the cluster only.
	NodeIP netip.Addr
	// Pods is the pod network. Its first address is the bridge's (Gateway), its last usable one the TUN device's
	// (WANIP): the source of what the node itself sends over the SD-WAN.
	Pods    netip.Prefix
	Gateway netip.Addr
	WANIP   netip.Addr
	// Services is the range of ClusterIPs; DNSIP is kube-dns.
	Services netip.Prefix
	DNSIP    netip.Addr
}

// Families are the cluster's networks of both families, the first one first.
func (c Cluster) Families() []Networks { return []Networks{c.Networks, c.IPv6} }

// Cluster returns cluster i, which counts from 1.
func (p Plan) Cluster(i int) Cluster {
	slot, n := byte(p.Slot), byte(i)
	c := Cluster{
		Index:      i,
		Name:       "cluster-" + strconv.Itoa(i),
		Namespace:  p.Name + ".cluster-" + strconv.Itoa(i),
		HostLink:   fmt.Sprintf("mcwan%dc%d", p.Slot, i),
		Management: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, slot, 4 * n}), 30),
	}
	c.HostIP = nth(c.Management, 1)
	c.Networks = networks(nth(c.Management, 2), 254,
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64 + slot, n, 0}), 24),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 96 + slot, 16 * n, 0}), 20))
	c.IPv6 = networks(nth(p.subnet(nodeNet, i, 64), 1), math.MaxUint16, p.subnet(podNet, i, 64), p.subnet(serviceNet, i, 112))
	c.APIIP = nth(c.Services, 1)
	return c
}

// networks lays out the addresses of one family; wan is the number of the TUN device's among the pods'.
func networks(node netip.Addr, wan int, pods, services netip.Prefix) Networks {
	return Networks{
		NodeIP: node, Pods: pods, Gateway: nth(pods, 1), WANIP: nth(pods, wan), Services: services, DNSIP: nth(services, 10),
	}
}

// What an IPv6 network of a cluster is for: the upper half of the fourth group of its addresses.
const (
	podNet     = 0x00
	serviceNet = 0x01
	nodeNet    = 0x02
)

// subnet is an IPv6 network of cluster i.
func (p Plan) subnet(use byte, i, bits int) netip.Prefix {
	a := p.ipv6().Addr().As16()
	a[6], a[7] = use, byte(i)
	return netip.PrefixFrom(netip.AddrFrom16(a), bits)
}

// ipv6 covers all IPv6 addresses of the sandbox.
func (p Plan) ipv6() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 'm', 'c', 'w', 0, byte(p.Slot)}), 48)
}

// Clusters returns clusters 1 to n.
func (p Plan) Clusters(n int) []Cluster {
	all := make([]Cluster, 0, n)
	for i := range n {
		all = append(all, p.Cluster(i+1))
	}
	return all
}

// Management covers the management links of all clusters of the sandbox.
func (p Plan) Management() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(p.Slot), 0}), 24)
}

// Inside covers the pods and services of all clusters of the sandbox. What of it no other route claims is dropped in
// every namespace, so that nothing takes another way while the SD-WAN is stopped.
func (p Plan) Inside() []netip.Prefix {
	slot := byte(p.Slot)
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64 + slot, 0, 0}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 96 + slot, 0, 0}), 16),
		p.ipv6(),
	}
}

// PodRange returns the first and last address that pods may have: all but the bridge's and the TUN device's.
func (n Networks) PodRange() (first, last netip.Addr) {
	return nth(n.Pods, 2), n.WANIP.Prev()
}

// APIServer is the URL of the API server, reachable from the machine, the node and its pods.
func (c Cluster) APIServer() string {
	return "https://" + netip.AddrPortFrom(c.NodeIP, APIPort).String()
}

// APIPort is where every cluster's API server listens.
const APIPort = 6443

// Free says whether the slot's management network meets none of the networks in use on the machine.
func (p Plan) Free(used []netip.Prefix) bool {
	return !slices.ContainsFunc(used, p.Management().Overlaps)
}

// nth is an address of a network by its number.
func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Addr().AsSlice()
	for i := len(a) - 1; n > 0; i-- {
		n += int(a[i])
		a[i] = byte(n)
		n >>= 8
	}
	out, _ := netip.AddrFromSlice(a)
	return out
}

// Loopback is the address by which a node's own components reach each other.
func Loopback() []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} }
