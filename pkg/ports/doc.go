// SPDX-License-Identifier: Apache-2.0

// Package ports hands out the ports of legs: the numbers on which the egress gateway listens for one imported service
// port. The state is a value, Table, kept in one ConfigMap, so that writing it with a resourceVersion precondition is all
// the locking there is: allocate, write the table, and only then write what uses the ports.
//
// A number that changes hands is dangerous: clients hold connections to it, and gateways still have the old route for a
// moment. So what is free is a queue: ports are taken from its head and come back to its tail, and a freed port is not
// given out again until every other free one has been.
package ports
