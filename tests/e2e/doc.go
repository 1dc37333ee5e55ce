// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the end-to-end tests: traffic through real Envoys between real clusters. They are built with the
// tag e2e; `make e2e` runs them on the sandbox, docs/testing.md says how to run them on clusters that exist.
package e2e
