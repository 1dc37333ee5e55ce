// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// Object is an API object with its TypeMeta filled in.
type Object interface {
	metav1.Object
	runtime.Object
}

// Cluster is the cluster for which objects are made.
type Cluster struct {
	// ID is the cluster's id.
	ID string
	// UID is the uid of its kube-system namespace.
	UID string
	// TrustDomain is the mesh's trust domain.
	TrustDomain string
	// Identities are the SPIFFE ids of the own gateways.
	Identities v1alpha1.Identities
	// Controller is the SPIFFE id of the own controller: the only caller of the feed legs.
	Controller string
	// FilterRemote says that the mesh's istiod also reads endpoints of other clusters, so that the ingress gateway has
	// to be pinned to this cluster's endpoints.
	FilterRemote bool
	// OwnAddress tells whether an address is one of this cluster's ClusterIPs, or may become one. No peer may have its
	// gateways there. Nil where nothing is known of them.
	OwnAddress func(netip.Addr) bool
	// Families are the address families of this cluster's gateways, the first one first; empty while not known.
	Families []corev1.IPFamily
	// MCSVersion is the version of the Multi-Cluster Services API that its API server serves; empty stands for v1beta1.
	MCSVersion string
	// DummyServices says that imports have a dummy Service per WAN policy that an exporter offers, unless the import's
	// rules say otherwise.
	DummyServices bool
}

// Exporter is one exporter of one service port.
type Exporter struct {
	ClusterID string
	// Ready is the number of ready backends behind the port.
	Ready int32
	// Draining exporters are chosen only where no other has backends.
	Draining bool
	// Drained exporters are too: nothing is to be sent there (Peer.spec.drain).
	Drained bool
}

// leaves: it is to be chosen only where no other has backends.
func (e Exporter) leaves() bool { return e.preference() != preferStaying }

// preference says which exporters come first: any that stays, then those to which nothing is to be sent, which would answer,
// then those that are about to go, or out of reach.
type preference int

const (
	preferStaying preference = iota
	preferDrained
	preferDraining
)

func (e Exporter) preference() preference {
	switch {
	case e.Draining:
		return preferDraining
	case e.Drained:
		return preferDrained
	}
	return preferStaying
}

// WireKey names one service port between the gateways, or that port of one endpoint of a headless service. The zero value
// is none.
type WireKey struct {
	Namespace string
	Name      string
	Port      int32
	// Endpoint is the endpoint of a headless service; zero for the service as a whole.
	Endpoint EndpointKey
}

// EndpointKey names one endpoint of a headless service. The zero value is none.
type EndpointKey struct {
	// Cluster is the cluster where the endpoint is.
	Cluster  string
	Hostname string
}

// IsZero says that the key names no endpoint.
func (k EndpointKey) IsZero() bool { return k == EndpointKey{} }

// String is hostname.cluster, as it stands in the endpoint's name in DNS.
func (k EndpointKey) String() string { return k.Hostname + "." + k.Cluster }

// EndpointState is what one endpoint of a headless import has in this cluster.
type EndpointState struct {
	// VIPs are the ClusterIPs of its derived Service; empty until it has been written.
	VIPs []string
	// Wanted are the addresses that it had; a derived Service that is made anew asks for them.
	Wanted []string
	// Ports are the allocated listener ports by service port number.
	Ports map[int32]LegPorts
}

// IsZero says that the key names no port.
func (w WireKey) IsZero() bool { return w == WireKey{} }

// PathKey names a path. It is comparable.
type PathKey struct {
	// Policy is the WAN policy whose tunnel comes first.
	Policy string
	// Exporter is the cluster that comes first; empty on paths of TCP legs, which hold all exporters.
	Exporter string
	// Backup is the cluster that comes when Exporter is lost; empty for none.
	Backup string
	// TCP is the service port of a TCP leg's own path; zero on the paths that HTTP legs share.
	TCP WireKey
	// Failover, if not empty, holds in place of the policy's own: advertise.FailoverText of what the exports say, see PathFailover.
	Failover string
}

// HopKey names a hop: one gateway address of a cluster on one policy's port.
type HopKey struct {
	Cluster string
	Policy  string
	Address string
	Port    int32
}

// Hop is one endpoint of a path.
type Hop struct {
	HopKey
	// Tunnel is the SD-WAN's name of the policy's tunnel as the receiving cluster's card tells it.
	Tunnel string
	// Rank is the hop's place in the order, from 0. Gateway addresses of one cluster on one policy share a rank.
	Rank int
}

// HopReturning is in PathInput.Health, and nowhere else, what a hop is that is Healthy again and is to come second for a
// while, so that connections stand over it before requests come.
const HopReturning v1alpha1.HopState = "Returning"

// HopDoubted is in PathInput.Health, and nowhere else, what a hop is that was Dead when the prober was last believed.
const HopDoubted v1alpha1.HopState = "Doubted"

// PathInput is what a path is made of.
type PathInput struct {
	Self Cluster
	Key  PathKey
	// Policies are this cluster's WANPolicies: service levels and failover.
	Policies []v1alpha1.WANPolicy
	// Cards are the cards of this cluster and its peers as EffectiveCard returns them.
	Cards []v1alpha1.ClusterAdvertisementSpec
	// Exporters are the exporters of Key.TCP; unused on shared paths, as what follows up to Previous.
	Exporters []Exporter
	// TrafficDistribution and SessionAffinity are those of the merged service.
	TrafficDistribution *string
	SessionAffinity     corev1.ServiceAffinity
	// Previous are the shares in use on Key.TCP's path, see NextShares; nil when there are none yet.
	Previous Shares
	// Peers say which hops are drained.
	Peers []v1alpha1.Peer
	// Health is the verdict on hops; a hop that is not in it is Unknown, which is as good as healthy.
	Health map[HopKey]v1alpha1.HopState
}

// LegPorts are the two listener ports of the egress gateway that belong to one imported service port.
type LegPorts struct {
	// Plain takes plain text, from clients without a sidecar.
	Plain int32
	// MTLS takes mutual TLS by Istio identities, from clients with a sidecar.
	MTLS int32
}

// LegInput is what the legs of one imported service are made of.
type LegInput struct {
	Self      Cluster
	Namespace string
	Name      string
	// Merged is the service as all exporters together describe it.
	Merged mcs.Merged
	// Exports are the advertisements that Merged was made of.
	Exports []v1alpha1.ServiceAdvertisementSpec
	// Drained are the clusters to which nothing is to be sent (DrainedPeers).
	Drained []string
	// Policies are this cluster's WANPolicies.
	Policies []v1alpha1.WANPolicy
	// Ports are the allocated listener ports by service port number.
	Ports map[int32]LegPorts
	// VIPs are the ClusterIPs of the derived Service; empty until it has been written.
	VIPs []string
	// Endpoints are what the endpoints of a headless import have; see Endpoints.
	Endpoints map[EndpointKey]EndpointState
	// Wanted are the ips that the ServiceImport had. A new derived Service asks for them, so that the address stays for
	// the import's life; where they are taken by now its creation fails, and has to be tried without.
	Wanted []string
	// Previous are the shares in use by HTTP service port number; nil when there are none yet.
	Previous map[int32]Shares
	// Rules are the ServiceImport of mc-wan.l7mp.io of this name; nil when there is none: the export's policy holds.
	Rules *mcwanv1alpha1.ServiceImport
	// Gateways are the addresses of the exporters' ingress gateways, where known.
	Gateways []string
	// Offered are the WAN policies on which at least one exporter receives, by name.
	Offered []string
	// Dummies are the dummy Services of the import, by policy.
	Dummies []Dummy
}

// Dummy is the dummy Service of an import and a WAN policy: the service over that policy.
type Dummy struct {
	Policy string
	// Port is the policy's own port, by which clients call the dummy Service besides the ports of the service itself.
	Port int32
	// Ports are the plain listener ports by service port number.
	Ports map[int32]int32
	// Problem is why there is no such Service; nil when there is one.
	Problem *mcs.Problem
}

// LegResult is what an import needs.
type LegResult struct {
	// Policy is the WAN policy in use; empty when the exports name none and there is no default.
	Policy string
	// Service is the derived Service whose ClusterIP is the ClusterSetIP; nil for headless services and those without TCP ports.
	Service *corev1.Service
	// EndpointServices are the derived Services of a headless import's endpoints, whose ClusterIPs are the endpoints'
	// addresses.
	EndpointServices []EndpointService
	// Import is the ServiceImport with its spec and the parts of its status that are no conditions. Without a VIP it has no ips.
	Import *mcsv1beta1.ServiceImport
	// Objects are the rest, in the order in which they are to be written: what serves before what makes clients come.
	// Client-facing objects are missing while there is no VIP.
	Objects []Object
	// DummyObjects are the dummy Services and their legs, in the order in which they are to be written, after all that
	// the import itself needs: there may be many.
	DummyObjects []Object
	// Paths are the paths that Objects and DummyObjects route to: to be written before.
	Paths []PathKey
	// Shares are the shares now in use by HTTP service port number. Those of TCP ports belong to their paths.
	Shares map[int32]Shares
	// Unallocated are the TCP service ports for which Ports has nothing: they have no leg.
	Unallocated []int32
	// Problem is why the service cannot be used here, for the import's Ready condition; nil when it can.
	Problem *mcs.Problem
	// Rules are the conditions of LegInput.Rules; nil without rules.
	Rules []metav1.Condition
	// InForce says whose rules requests follow, for the import's condition; nil where there are none.
	InForce *mcs.Rules
	// Dummies is what became of the dummy Services, for the import's condition; nil when none are wanted.
	Dummies *mcs.Dummies
}

// EndpointService is the derived Service of one endpoint of a headless import.
type EndpointService struct {
	Endpoint EndpointKey
	Service  *corev1.Service
}

// ExportInput is what the way from the ingress gateway to one exported service is made of.
type ExportInput struct {
	Self Cluster
	// Advertisement is what this cluster publishes about the export.
	Advertisement v1alpha1.ServiceAdvertisementSpec
	// Policies are this cluster's WANPolicies.
	Policies []v1alpha1.WANPolicy
	// FormerPorts are as in FleetInput.
	FormerPorts map[string][]int32
	// Endpoints are the ready endpoints of a headless Service, by hostname.
	Endpoints []mcs.NamedEndpoint
	// Replaced says that this cluster has rules of its own for its clients, in place of Rules.
	Replaced bool
	// Rules are what the owner says of requests; nil for nothing. Unlike the advertisement's they are never too large.
	Rules *mcwanv1alpha1.ServiceExport
}

// FleetInput is what the objects that belong to no single service are made of.
type FleetInput struct {
	Self     Cluster
	Policies []v1alpha1.WANPolicy
	Peers    []v1alpha1.Peer
	// Cards are the cards of this cluster and its peers as EffectiveCard returns them.
	Cards []v1alpha1.ClusterAdvertisementSpec
	// FormerPorts are the ports, by policy, on which the ingress gateway still receives though the policy has another now.
	FormerPorts map[string][]int32
	// FormerPeers are the principals that the ingress gateway still lets in though no accepted peer has them now.
	FormerPeers []string
}

// FleetResult is what a cluster needs once.
type FleetResult struct {
	// Objects are in the order in which they are to be written. The Service mcw-ingress among them carries nothing but
	// its WAN ports and none of our labels: the chart owns the rest.
	Objects []Object
	// Paths are the paths to the peers' feeds.
	Paths []PathKey
	// Policies is the verdict on each WANPolicy by name.
	Policies map[string]metav1.Condition
	// Peers is the verdict on each Peer by name.
	Peers map[string]metav1.Condition
}

// CardInput is what a cluster's card is made of.
type CardInput struct {
	Self Cluster
	// Previous is the card last published; nil for none.
	Previous *v1alpha1.ClusterAdvertisementSpec
	Policies []v1alpha1.WANPolicy
	// Addresses are the ready ingress gateways as they are routed over the SD-WAN.
	Addresses      []string
	TrustRoot      string
	Versions       v1alpha1.Versions
	Advertisements int32
	Drained        []v1alpha1.DrainAck
}
