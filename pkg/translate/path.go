// SPDX-License-Identifier: Apache-2.0

package translate

import "github.com/l7mp/mc-wan/api/mcw/v1alpha1"

// Rank is the order of a path's hops.
func Rank(key PathKey, policies []v1alpha1.WANPolicy, cards []v1alpha1.ClusterAdvertisementSpec) []Hop {
	return nil
}

// Path is the ServiceEntry and the DestinationRule of a path.
func Path(in PathInput) []Object { return nil }
