// SPDX-License-Identifier: Apache-2.0

// Package translate turns what a cluster knows (policies, cards, merged exports) into the objects that make traffic
// flow: Istio and Kubernetes objects with their kinds filled in.
//
// Everything here is a function of its arguments: no client, no clock, no context, and no order that depends on a map.
// The controller, `mcwanctl render`, goldens and fuzz tests call the same functions. Which field does what in istiod
// and Envoy is said beside the constant or function that sets it.
//
// A request's way: a client reaches a leg (leg.go), an own listener of the egress gateway for one imported service
// port; the leg's VirtualService picks paths by weight (weights.go); a path (path.go) is an ordered list of hops, one
// Envoy cluster; the peer's ingress gateway (export.go, fleet.go) routes by wire name to the local Service.
package translate
