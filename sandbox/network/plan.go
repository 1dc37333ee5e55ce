// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
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
// addresses that the machine itself sees. Pods and services live inside the namespaces only.
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
	NodeIP     netip.Addr
	// Pods is the pod network. Its first address is the bridge's (Gateway), its last usable one the TUN device's
	// (WANIP): the source of what the node itself sends over the SD-WAN.
	Pods    netip.Prefix
	Gateway netip.Addr
	WANIP   netip.Addr
	// Services is the range of ClusterIPs: APIIP is the Service "kubernetes", DNSIP is kube-dns.
	Services netip.Prefix
	APIIP    netip.Addr
	DNSIP    netip.Addr
}

// Cluster returns cluster i, which counts from 1.
func (p Plan) Cluster(i int) Cluster {
	slot, n := byte(p.Slot), byte(i)
	c := Cluster{
		Index:      i,
		Name:       "cluster-" + strconv.Itoa(i),
		Namespace:  p.Name + ".cluster-" + strconv.Itoa(i),
		HostLink:   fmt.Sprintf("mcwan%dc%d", p.Slot, i),
		Management: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, slot, 4 * n}), 30),
		Pods:       netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64 + slot, n, 0}), 24),
		Services:   netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 96 + slot, 16 * n, 0}), 20),
	}
	c.HostIP, c.NodeIP = nth(c.Management, 1), nth(c.Management, 2)
	c.Gateway, c.WANIP = nth(c.Pods, 1), nth(c.Pods, 254)
	c.APIIP, c.DNSIP = nth(c.Services, 1), nth(c.Services, 10)
	return c
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
	}
}

// PodRange returns the first and last address that pods may have: all but the bridge's and the TUN device's.
func (c Cluster) PodRange() (first, last netip.Addr) {
	return nth(c.Pods, 2), c.WANIP.Prev()
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

func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Addr().As4()
	for i := 3; n > 0; i-- {
		n += int(a[i])
		a[i] = byte(n)
		n >>= 8
	}
	return netip.AddrFrom4(a)
}

// Loopback is the address by which a node's own components reach each other.
func Loopback() []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} }
