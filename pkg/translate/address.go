// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"net/netip"
	"slices"
)

// CheckAddress says why an address cannot be a peer's gateway as this cluster reaches it: it is none, or one that never
// leaves the machine, the link or this cluster. Traffic meant for a peer must not be turned against what is near.
func CheckAddress(self Cluster, address string) error {
	addr, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not an IP address", address)
	case addr.Zone() != "" || addr.Is4In6():
		return fmt.Errorf("%s is not in its plain form", address)
	case addr.IsUnspecified():
		return fmt.Errorf("%s is the unspecified address", address)
	case addr.IsLoopback():
		return fmt.Errorf("%s is a loopback address", address)
	case addr.IsLinkLocalUnicast():
		return fmt.Errorf("%s is a link-local address", address)
	case addr.IsMulticast():
		return fmt.Errorf("%s is a multicast address", address)
	case addr.Is4() && (addr.As4()[0] == 0 || addr.As4()[0] >= 240):
		return fmt.Errorf("%s is in a reserved range", address)
	}
	if self.OwnAddress != nil && self.OwnAddress(addr) {
		return fmt.Errorf("%s is a ClusterIP of this cluster, or in the range of its ClusterIPs", address)
	}
	return nil
}

// InRanges tells of an address whether it is in one of the ranges; what is no range in CIDR notation has no address in it.
func InRanges(cidrs []string, addr netip.Addr) bool {
	return slices.ContainsFunc(cidrs, func(c string) bool {
		prefix, err := netip.ParsePrefix(c)
		return err == nil && prefix.Contains(addr)
	})
}
