// SPDX-License-Identifier: Apache-2.0

// Package dns installs what every cluster has before anything else: CoreDNS, which answers for cluster.local and, from
// ServiceImports, for clusterset.local, and the kinds of the Multi-Cluster Services API, without which CoreDNS would
// wait for them and never be ready.
package dns
