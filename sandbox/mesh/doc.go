// SPDX-License-Identifier: Apache-2.0

// Package mesh installs Istio into a cluster the way its users do, with `istioctl install`: a trust domain per cluster,
// an intermediate certificate authority per cluster below the sandbox's root, and no gateways, which are the add-on's.
//
// Three settings differ from a user's mesh, because the sandbox's Envoy is upstream's and lacks Istio's own extensions:
// the ALPN filter, metadata exchange and the metrics filter are switched off.
package mesh
