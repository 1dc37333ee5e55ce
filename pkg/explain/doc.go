// SPDX-License-Identifier: Apache-2.0

// Package explain tells what becomes of a request to an imported service: which rule it matches, which WAN policy, by which
// hops in which order, and why.
//
// It reads rules on its own, from the text of the Gateway API, and shares no code with package translate that makes routes
// of them: a mistake in either shows as a disagreement (tests/xds compares them over a thousand requests, tests/e2e with
// what real Envoys do). What it has in common with translate are answers that are no routes (wall_test.go lists
// them): in which words a rule is refused, which regular expressions Envoy takes, how exporters share, in which order hops are
// tried, and names.
package explain
