// SPDX-License-Identifier: Apache-2.0

package translate

// Fleet is what a cluster needs once.
func Fleet(in FleetInput) FleetResult { return FleetResult{} }
