// SPDX-License-Identifier: Apache-2.0

// Package wanclass sorts the SD-WAN's packets as the users' WANPolicies say: it watches the WANPolicies of every
// cluster of a sandbox and keeps the SD-WAN's classes, TCP port to tunnel, equal to their union.
package wanclass
