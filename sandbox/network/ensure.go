// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// TUNFlags are the flags of the TUN device: packets without a prefix, as the SD-WAN asks for (wan.DeviceFlags).
const TUNFlags = unix.IFF_TUN | unix.IFF_NO_PI

// leakMetric puts the routes that drop below every other route.
const leakMetric = 1 << 16

// Used returns the networks that the machine itself has routes or addresses for, the default route aside.
func Used() ([]netip.Prefix, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var used []netip.Prefix
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		if p, ok := prefixOf(r.Dst); ok && p.Bits() > 0 {
			used = append(used, p)
		}
	}
	return used, nil
}

// Ensure makes the namespaces and links of clusters 1 to n, or mends what is missing of them. What is right already
// is not touched, so that traffic of running clusters is not disturbed.
func Ensure(p Plan, n int) error {
	for _, c := range p.Clusters(n) {
		if err := ensureCluster(p, c, n); err != nil {
			return fmt.Errorf("network of %s: %w", c.Name, err)
		}
	}
	return nil
}

func ensureCluster(p Plan, c Cluster, n int) error {
	if err := ensureNamespace(c); err != nil {
		return err
	}
	ns, err := netns.GetFromPath(c.NamespacePath())
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }() // a handle to look through
	inside, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	defer inside.Close()
	steps := []func() error{
		func() error { return writeSysctls(c) }, // before the links, which take the defaults over
		func() error { return setLoopbackUp(inside) },
		func() error { return ensureManagement(inside, ns, c) },
		func() error { return ensureBridge(inside, c) },
		func() error { return ensureTUN(inside, c) },
		func() error { return ensureRoutes(inside, p, c, n) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func setLoopbackUp(h *netlink.Handle) error {
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

// ensureManagement makes the link between the machine and the node. The machine never forwards what comes in on it,
// so clusters cannot reach each other, or anything else, through the machine. IPv6, which cannot be forwarded for some
// links only, is off at the machine's end.
func ensureManagement(inside *netlink.Handle, ns netns.NsHandle, c Cluster) error {
	if _, err := inside.LinkByName(ManagementLink); isLinkMissing(err) {
		if err := deleteLink(c.HostLink); err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = c.HostLink, MTU
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: ManagementLink, PeerNamespace: netlink.NsFd(ns)}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("add link %s: %w", c.HostLink, err)
		}
	}
	node, err := inside.LinkByName(ManagementLink)
	if err != nil {
		return fmt.Errorf("link %s: %w", ManagementLink, err)
	}
	host, err := netlink.LinkByName(c.HostLink)
	if err != nil {
		return fmt.Errorf("link %s: %w", c.HostLink, err)
	}
	for path, value := range map[string]string{"ipv4/conf/" + c.HostLink + "/forwarding": "0", "ipv6/conf/" + c.HostLink + "/disable_ipv6": "1"} {
		if err := writeSysctl(path, value); err != nil {
			return err
		}
	}
	return errors.Join(
		netlink.LinkSetAlias(host, "mcwan-sandbox "+c.Namespace),
		netlink.AddrReplace(host, address(c.HostIP, c.Management.Bits())),
		netlink.LinkSetUp(host),
		inside.AddrReplace(node, address(c.NodeIP, c.Management.Bits())),
		inside.AddrReplace(node, address(c.IPv6.NodeIP, c.IPv6.NodeIP.BitLen())),
		inside.LinkSetUp(node),
	)
}

// ensureBridge makes the pods' bridge before the first pod does, because the route to the services needs it.
func ensureBridge(h *netlink.Handle, c Cluster) error {
	link, err := h.LinkByName(BridgeLink)
	if isLinkMissing(err) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = BridgeLink, MTU
		link = &netlink.Bridge{LinkAttrs: attrs}
		err = h.LinkAdd(link)
	}
	if err != nil {
		return fmt.Errorf("bridge %s: %w", BridgeLink, err)
	}
	errs := make([]error, 0, len(c.Families())+1)
	for _, f := range c.Families() {
		errs = append(errs, h.AddrReplace(link, address(f.Gateway, f.Pods.Bits())))
	}
	return errors.Join(append(errs, h.LinkSetUp(link))...)
}

// ensureTUN makes the device that outlives the SD-WAN process: it stays when that ends, and drops what it is sent.
func ensureTUN(h *netlink.Handle, c Cluster) error {
	link, err := h.LinkByName(WANLink)
	if isLinkMissing(err) {
		if err := InNamespace(c.NamespacePath(), addTUN); err != nil {
			return fmt.Errorf("device %s: %w", WANLink, err)
		}
		link, err = h.LinkByName(WANLink)
	}
	if err != nil {
		return fmt.Errorf("device %s: %w", WANLink, err)
	}
	errs := []error{h.LinkSetMTU(link, MTU)}
	for _, f := range c.Families() {
		errs = append(errs, h.AddrReplace(link, address(f.WANIP, f.WANIP.BitLen())))
	}
	return errors.Join(append(errs, h.LinkSetUp(link))...)
}

func addTUN() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = WANLink
	tun := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN, Queues: 1, Flags: TUNFlags &^ unix.IFF_TUN}
	if err := netlink.LinkAdd(tun); err != nil {
		return err
	}
	for _, f := range tun.Fds {
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// writeSysctls sets what a node needs. bridge-nf-call-iptables brings packets between two pods of one bridge to
// kube-proxy's rules, else the answer of a Service's pod would come from the pod's own address. Nobody else gives out
// addresses here, so none is looked for (accept_dad), which would take a second, and no router is listened to.
func writeSysctls(c Cluster) error {
	return InNamespace(c.NamespacePath(), func() error {
		for key, value := range map[string]string{
			"ipv4/ip_forward":                 "1",
			"ipv4/conf/all/route_localnet":    "1",
			"ipv4/conf/all/rp_filter":         "0",
			"ipv6/conf/all/forwarding":        "1",
			"ipv6/conf/all/accept_dad":        "0",
			"ipv6/conf/default/accept_dad":    "0",
			"ipv6/conf/all/accept_ra":         "0",
			"ipv6/conf/default/accept_ra":     "0",
			"bridge/bridge-nf-call-iptables":  "1",
			"bridge/bridge-nf-call-ip6tables": "1",
		} {
			if err := writeSysctl(key, value); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeSysctl(key, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys/net", key), []byte(value), 0o644)
}

// ensureRoutes sends the other clusters' pods to the SD-WAN and drops the rest of the sandbox's networks. There is no
// default route: a cluster reaches its own pods and services, the other clusters through the SD-WAN, and the machine.
func ensureRoutes(h *netlink.Handle, p Plan, c Cluster, n int) error {
	bridge, err := h.LinkByName(BridgeLink)
	if err != nil {
		return err
	}
	wan, err := h.LinkByName(WANLink)
	if err != nil {
		return err
	}
	var routes []*netlink.Route
	for f, own := range c.Families() {
		// never used to send: kube-proxy rewrites the destination, but the kernel wants a route before that
		routes = append(routes, &netlink.Route{LinkIndex: bridge.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: ipNet(own.Services), Src: own.Gateway.AsSlice()})
		for _, other := range p.Clusters(n) {
			if other.Index != c.Index {
				routes = append(routes, &netlink.Route{LinkIndex: wan.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: ipNet(other.Families()[f].Pods), Src: own.WANIP.AsSlice()})
			}
		}
	}
	for _, all := range p.Inside() {
		routes = append(routes, &netlink.Route{Type: unix.RTN_BLACKHOLE, Dst: ipNet(all), Priority: leakMetric})
	}
	for _, r := range routes {
		if err := h.RouteReplace(r); err != nil {
			return fmt.Errorf("route to %s: %w", r.Dst, err)
		}
	}
	return nil
}

// Remove deletes all that Ensure made for a sandbox, found by name and, where the slot is known (not negative), by slot.
func Remove(name string, slot, n int) error {
	paths, err := namespacesOf(name)
	errs := []error{err}
	for _, path := range paths {
		errs = append(errs, deleteNamespace(path))
	}
	if slot >= 0 {
		for _, c := range (Plan{Name: name, Slot: slot}).Clusters(n) {
			errs = append(errs, deleteLink(c.HostLink))
		}
	}
	return errors.Join(errs...)
}

func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if isLinkMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return nil
}

func isLinkMissing(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing)
}

// address is an address to give to a link, which is used at once: nobody else can have it.
func address(a netip.Addr, bits int) *netlink.Addr {
	out := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}}
	if a.Is6() {
		out.Flags = unix.IFA_F_NODAD
	}
	return out
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(n.IP.To4())
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a, bits), ok
}
