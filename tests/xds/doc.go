// SPDX-License-Identifier: Apache-2.0

// Package xds holds what package translate writes against Istio itself: its validation, its analyzers, and the
// configuration that its control plane makes of it for Envoy. It is a module of its own, because Istio's module graph is
// not for the product.
package xds
