// SPDX-License-Identifier: Apache-2.0

// Package failover breaks what can break under load and writes down what became of every request: the failure matrix. A
// case says what breaks and how it heals; every case is played in the same way, for all protocols at once, and beside it
// the same load goes the plain way: an egress gateway with Istio's defaults over the same two tunnels, without a prober.
//
// tests/e2e plays a few cases for a short time and asserts the bars; `make failover-report` plays all of them for long
// and draws them.
package failover
