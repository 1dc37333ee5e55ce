// SPDX-License-Identifier: Apache-2.0

package translate

// Leg is what an imported service needs in this cluster.
func Leg(in LegInput) LegResult { return LegResult{} }
