// SPDX-License-Identifier: Apache-2.0

// Package ports hands out the ports of legs: the numbers on which the egress gateway listens for one imported service
// port. The state is a value, Table, kept in one ConfigMap, so that writing it with a resourceVersion precondition is all
// the locking there is.
package ports
