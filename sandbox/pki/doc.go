// SPDX-License-Identifier: Apache-2.0

// Package pki makes the keys and certificates of a sandbox: a certificate authority per cluster for Kubernetes, and one
// root for all meshes with an intermediate per cluster, so that identities of one cluster are verifiable in another.
package pki
