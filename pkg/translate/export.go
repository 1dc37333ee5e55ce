// SPDX-License-Identifier: Apache-2.0

package translate

// Export is the way from the ingress gateway to an exported service.
func Export(in ExportInput) []Object { return nil }
