// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Lister gives what is known in the own cluster. What it returns is not changed by this package. Order does not matter.
// Unreadable is not empty: a Lister that cannot read something must not be asked, so its owner checks that it has synced
// before it calls a collect function.
type Lister interface {
	// Self is the own cluster.
	Self() translate.Cluster
	// Policies are all WANPolicies.
	Policies() []v1alpha1.WANPolicy
	// Peers are all Peers.
	Peers() []v1alpha1.Peer
	// Accepted are the accepted Peers by cluster id. It is asked often and judging Peers is dear, so do it once.
	Accepted() map[string]v1alpha1.Peer
	// Cards are the cards of the own cluster and of peers, as they stand in mc-wan.
	Cards() []v1alpha1.ClusterAdvertisement
	// Advertisements are the advertisements of one service: the own one, copies of peers' and those written by hand.
	Advertisements(namespace, name string) []v1alpha1.ServiceAdvertisement
	// Export is a ServiceExport; nil if there is none.
	Export(namespace, name string) *mcsv1beta1.ServiceExport
	// Import is a ServiceImport; nil if there is none. Its ips are asked for again when its derived Service was lost.
	Import(namespace, name string) *mcsv1beta1.ServiceImport
	// Rules are the ServiceImport of mc-wan.l7mp.io; nil if there is none.
	Rules(namespace, name string) *mcwanv1alpha1.ServiceImport
	// OwnerRules are the ServiceExport of mc-wan.l7mp.io; nil if there is none.
	OwnerRules(namespace, name string) *mcwanv1alpha1.ServiceExport
	// Service is a Service; nil if there is none. The derived Service of an import is one in mc-wan.
	Service(namespace, name string) *corev1.Service
	// Slices are the EndpointSlices of a Service.
	Slices(namespace, name string) []discoveryv1.EndpointSlice
	// Namespace is a Namespace; nil if there is none.
	Namespace(name string) *corev1.Namespace
	// PortTable says which leg ports belong to whom.
	PortTable() ports.Table
	// EndpointAddresses are the addresses by which clients know an endpoint of a headless import (spec.addresses of its
	// ServiceEntry); nil for none.
	EndpointAddresses(namespace, name string, e translate.EndpointKey) []string
	// LegShares are the shares in use on the leg of a service port (annotation translate.AnnotationShares of the
	// VirtualService translate.LegName); nil if there are none.
	LegShares(namespace, name string, port int32) translate.Shares
	// PathShares are the shares in use on a TCP leg's path (the same annotation on the ServiceEntry translate.PathName);
	// nil if there are none.
	PathShares(key translate.PathKey) translate.Shares
	// FormerPorts are the ports, by policy, on which the policy's Gateway receives as it stands though none of the
	// Policies has them (translate.FormerPorts).
	FormerPorts() map[string][]int32
	// FormerPeers are the principals that the ingress gateway lets in as it stands though no accepted peer has them
	// (translate.FormerPeers).
	FormerPeers() []string
	// Health is the verdict on hops; hops that nothing has measured are missing.
	Health() map[translate.HopKey]v1alpha1.HopState
}
