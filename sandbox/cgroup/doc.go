// SPDX-License-Identifier: Apache-2.0

// Package cgroup gives every sandbox and every cluster a control group of its own, so that all its processes can be
// found, measured and ended whatever became of their parents. It works with the unified hierarchy (version 2) and with
// one hierarchy per controller (version 1).
package cgroup
