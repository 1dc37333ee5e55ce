// SPDX-License-Identifier: Apache-2.0

// Package lifecycle brings whole sandboxes up and down: it puts networks, clusters, SD-WAN, mesh and add-on together
// in the right order, each of them made only as far as it is not there yet. So Up is also what heals a sandbox.
package lifecycle
