// SPDX-License-Identifier: Apache-2.0

// Package sdwan runs the software SD-WAN of a sandbox as a process of its own: the router of package wan between all
// clusters of the sandbox, and beside it the watch on their WANPolicies that says which packets take which tunnel.
package sdwan
