// SPDX-License-Identifier: Apache-2.0

// Package state keeps what outlives one run of mcwan-sandbox: which sandboxes exist, the address slot of each,
// what was asked of it, and where its files are. One folder per sandbox; removing the folder forgets the sandbox.
package state
