// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of mcwan-sandbox. Commands parse and print; what they do is in package lifecycle.
package cli
