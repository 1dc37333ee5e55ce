// SPDX-License-Identifier: Apache-2.0

// Package advertise turns a local ServiceExport into what other clusters are told about it. It is a function of values:
// no clock, no client.
package advertise
