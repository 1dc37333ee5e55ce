// SPDX-License-Identifier: Apache-2.0

// Package network makes the networks of a sandbox: one network namespace per cluster with a bridge for its pods, a
// link to the machine for management, and the TUN device that is its only way to the other clusters.
package network
