// SPDX-License-Identifier: Apache-2.0

// Package story is the product's main story as steps that a user would take: each step does one thing with the
// clusters, checks what a user must see, and says what happened in a line. `make demo` prints the steps, tests/e2e
// asserts them: the same code, so that the demo cannot promise what the tests do not hold.
//
// The clusters are whatever kubectl contexts the environment names. The SD-WAN's counters are used where the clusters
// run in the sandbox; elsewhere the steps that need them say that they were left out.
package story
