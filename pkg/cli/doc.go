// SPDX-License-Identifier: Apache-2.0

// Package cli is mcwanctl: export and import services, join clusters and see what stands where.
//
// Commands are built by newXCmd functions from an Env, so that nothing is global. Results go to standard
// output, messages and errors to standard error. Only main exits: Run returns the exit code, 0 for success, 1 for a check
// that failed or a state that was not found or not reached, 2 for a usage error.
//
// What a service owner or operator could write with kubectl, mcwanctl writes the same way (server-side apply, field
// manager "mcwanctl"); it holds no state of its own and talks to API servers only.
package cli
