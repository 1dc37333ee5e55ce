// SPDX-License-Identifier: Apache-2.0

// Package controller turns events into reconciliations: what a key needs is collected from the cache (package
// snapshot), decided by pure functions (advertise, mcs, translate), written (apply) and reported as conditions.
//
// Keys and what each is responsible for:
//
//	export  namespace/name  the own ServiceAdvertisement, the ingress objects of the service, the ServiceExport's status
//	import  namespace/name  leg ports, derived Service, leg objects, ServiceImport with its status, drain acknowledgements
//	path    path name       ServiceEntry and DestinationRule of a path that a leg or a feed uses
//	fleet   one             ingress Gateways, policies, feed legs, the own card, WANPolicy status
//	peer    name            the reader of the peer's feed, the copies of what it publishes, Peer status
//
// Writes go in the order in which they take effect: paths, legs, what makes clients come; deletion goes in reverse.
// Everything after the feed looks at the local API server only.
package controller
