// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the tests of the sandbox itself, on real clusters: that it comes up, heals after whatever is killed,
// keeps its clusters apart but for the SD-WAN, and leaves nothing behind. They need root and some minutes:
// `make test-sandbox`.
package e2e
