// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/l7mp/mc-wan/sandbox/state"
)

func TestPlanOfOneCluster(t *testing.T) {
	got := Plan{Name: "mcw", Slot: 3}.Cluster(2)
	want := Cluster{
		Index: 2, Name: "cluster-2", Namespace: "mcw.cluster-2", HostLink: "mcwan3c2",
		Management: netip.MustParsePrefix("198.18.3.8/30"), HostIP: netip.MustParseAddr("198.18.3.9"),
		Networks: Networks{
			NodeIP: netip.MustParseAddr("198.18.3.10"),
			Pods:   netip.MustParsePrefix("10.67.2.0/24"), Gateway: netip.MustParseAddr("10.67.2.1"), WANIP: netip.MustParseAddr("10.67.2.254"),
			Services: netip.MustParsePrefix("10.99.32.0/20"), DNSIP: netip.MustParseAddr("10.99.32.10"),
		},
		IPv6: Networks{
			NodeIP: netip.MustParseAddr("fd6d:6377:3:202::1"),
			Pods:   netip.MustParsePrefix("fd6d:6377:3:2::/64"), Gateway: netip.MustParseAddr("fd6d:6377:3:2::1"), WANIP: netip.MustParseAddr("fd6d:6377:3:2::ffff"),
			Services: netip.MustParsePrefix("fd6d:6377:3:102::/112"), DNSIP: netip.MustParseAddr("fd6d:6377:3:102::a"),
		},
		APIIP: netip.MustParseAddr("10.99.32.1"),
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	for i, want := range []string{"10.67.2.2 to 10.67.2.253", "fd6d:6377:3:2::2 to fd6d:6377:3:2::fffe"} {
		first, last := got.Families()[i].PodRange()
		if text := first.String() + " to " + last.String(); text != want {
			t.Errorf("pod range %s, want %s", text, want)
		}
	}
	if got.APIServer() != "https://198.18.3.10:6443" {
		t.Error(got.APIServer())
	}
}

// Every network of every cluster of every sandbox is its own, its address is its first, and link names fit IFNAMSIZ.
func TestNoTwoNetworksMeet(t *testing.T) {
	seen := map[netip.Prefix]string{}
	for slot := range Slots {
		p := Plan{Name: "abcdefghijklmnopqrst", Slot: slot}
		inside := p.Inside()
		for _, c := range p.Clusters(state.MaxClusters) {
			if len(c.HostLink) > 15 {
				t.Errorf("link name %q is longer than 15", c.HostLink)
			}
			insideOne := func(a netip.Addr) bool {
				return slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(a) })
			}
			if !p.Management().Contains(c.NodeIP) || !insideOne(c.IPv6.NodeIP) {
				t.Errorf("slot %d %s: its node is outside the sandbox's networks", slot, c.Name)
			}
			all := []netip.Prefix{c.Management, netip.PrefixFrom(c.IPv6.NodeIP, 128)}
			for _, f := range c.Families() {
				if !insideOne(f.WANIP) || !insideOne(f.DNSIP) {
					t.Errorf("slot %d %s is outside the sandbox's networks", slot, c.Name)
				}
				all = append(all, f.Pods, f.Services)
			}
			for _, n := range all {
				if n != n.Masked() {
					t.Errorf("slot %d %s: %s is not a network", slot, c.Name, n)
				}
				for other, owner := range seen {
					if n.Overlaps(other) {
						t.Errorf("slot %d %s: %s overlaps %s of %s", slot, c.Name, n, other, owner)
					}
				}
				seen[n] = c.Namespace
			}
		}
	}
}

func TestSlotOfAUsedNetworkIsNotFree(t *testing.T) {
	used := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/23")}
	for slot, want := range map[int]bool{0: false, 1: false, 2: true} {
		if got := (Plan{Slot: slot}).Free(used); got != want {
			t.Errorf("slot %d free: %v, want %v", slot, got, want)
		}
	}
}
