// SPDX-License-Identifier: Apache-2.0

// Package addon installs mc-wan into a cluster the way its users do, with its own Helm chart, and joins clusters with
// mcwanctl.
package addon
