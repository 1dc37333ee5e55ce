// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"net/netip"
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
	for _, c := range self.ServiceCIDRs {
		if prefix, err := netip.ParsePrefix(c); err == nil && prefix.Contains(addr) {
			return fmt.Errorf("%s is in this cluster's service range %s", address, c)
		}
	}
	return nil
}
