// SPDX-License-Identifier: Apache-2.0

// Package kube is the little that the sandbox wants of a cluster's API: apply manifests, wait until things are ready,
// and see what runs.
package kube
