// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Peer is a joined cluster. Its spec is public data: `mcwanctl card` prints it for the own cluster, and joining is
// applying each other's. The identities are pinned here and never learned from the peer.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=mc-wan
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterID`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Feed",type=string,JSONPath=`.status.conditions[?(@.type=="FeedReady")].reason`
// +kubebuilder:printcolumn:name="Feed Since",type=date,JSONPath=`.status.conditions[?(@.type=="FeedReady")].lastTransitionTime`
// +kubebuilder:printcolumn:name="Reachable",type=string,JSONPath=`.status.conditions[?(@.type=="Reachable")].reason`,priority=1
// +kubebuilder:printcolumn:name="Hops",type=string,JSONPath=`.status.conditions[?(@.type=="HopsHealthy")].reason`
// +kubebuilder:printcolumn:name="Accepted",type=integer,JSONPath=`.status.advertisements.accepted`
// +kubebuilder:printcolumn:name="Refused",type=integer,JSONPath=`.status.advertisements.refused`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.versions.controller`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == self.spec.clusterID",message="metadata.name must equal spec.clusterID: a cluster is joined once"
type Peer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec PeerSpec `json:"spec"`
	// +optional
	Status PeerStatus `json:"status,omitempty"`
}

// PeerSpec says who the peer is, how to reach it first, and what it may do here.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.clusterUID) || size(oldSelf.clusterUID) == 0 || (has(self.clusterUID) && self.clusterUID == oldSelf.clusterUID)",message="spec.clusterUID is set once: the id is taken by another cluster; leave it first (mcwanctl leave ID), then join again"
type PeerSpec struct {
	// ClusterID is the peer's cluster id: an RFC 1123 label (KEP-1645 "ClusterSet membership"), because it becomes a label value and a DNS label.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.clusterID cannot change; leave the peer and join it anew"
	ClusterID string `json:"clusterID"`

	// ClusterUID is the uid of the peer's kube-system namespace. Empty accepts any. Once set it stands, so that the card of
	// another cluster that happens to have the same id does not take the place of the joined one.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ClusterUID string `json:"clusterUID,omitempty"`

	// Identities are the SPIFFE ids that the peer's gateways must present.
	// +required
	Identities Identities `json:"identities"`

	// Bootstrap is how the peer is reached until its card has been read.
	// +required
	Bootstrap Bootstrap `json:"bootstrap"`

	// Namespaces lists the namespaces into which the peer's services may be imported; "*" allows all that are not
	// protected (kube-*, istio-system, mc-wan).
	// +optional
	// +listType=set
	// +kubebuilder:default={"*"}
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$`
	Namespaces []string `json:"namespaces,omitempty"`

	// Drain lists the WAN policies over which this cluster sends nothing to the peer while another way serves, as before
	// maintenance; "*" is all of them. `mcwanctl drain` sets it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$`
	Drain []string `json:"drain,omitempty"`
}

// Identities are the SPIFFE ids of a cluster's gateways.
type Identities struct {
	// Egress is what the cluster's egress gateway presents: the only one let in at our ingress gateway.
	// +required
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^spiffe://[A-Za-z0-9._-]+/ns/[a-z0-9-]+/sa/[a-z0-9.-]+$`
	Egress string `json:"egress"`
	// Ingress is what the cluster's ingress gateway presents: the only one our egress gateway talks to.
	// +required
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^spiffe://[A-Za-z0-9._-]+/ns/[a-z0-9-]+/sa/[a-z0-9.-]+$`
	Ingress string `json:"ingress"`
}

// Bootstrap is how a peer is reached before its card has been read.
type Bootstrap struct {
	// Addresses are IP addresses of the peer's ingress gateways as they are routed over the SD-WAN.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:items:XValidation:rule="isIP(self)",message="must be an IP address"
	Addresses []string `json:"addresses"`
	// Policies are the peer's WAN policies and the ports it receives them on.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Policies []OfferedPolicy `json:"policies"`
}

// OfferedPolicy is one WAN policy as the cluster that receives on its port offers it.
type OfferedPolicy struct {
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Tunnel string `json:"tunnel,omitempty"`
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// PeerStatus is what this cluster knows of the peer.
type PeerStatus struct {
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ClusterUID is the uid that the peer's card carries.
	// +optional
	ClusterUID string `json:"clusterUID,omitempty"`
	// CardGeneration is the generation of the peer's card in use.
	// +optional
	CardGeneration int64 `json:"cardGeneration,omitempty"`
	// +optional
	Versions Versions `json:"versions,omitempty"`
	// TrustRoot is the SHA-256 fingerprint of the root certificate that the peer's mesh trusts.
	// +optional
	TrustRoot string `json:"trustRoot,omitempty"`
	// +optional
	Advertisements AdvertisementCounts `json:"advertisements,omitempty"`
	// Hops are the ways to the peer: each of its gateway addresses on each policy's port.
	// +optional
	// +listType=atomic
	Hops []HopStatus `json:"hops,omitempty"`
}

// AdvertisementCounts says what became of the peer's advertisements.
type AdvertisementCounts struct {
	// Accepted counts the advertisements in use.
	Accepted int32 `json:"accepted"`
	// Refused counts those that were refused.
	Refused int32 `json:"refused"`
	// Refusals are the first 20 refusals, by namespace and name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Refusals []Refusal `json:"refusals,omitempty"`
}

// Refusal is one advertisement that was not acted on.
type Refusal struct {
	// Name is namespace/name of the service.
	Name string `json:"name"`
	// Reason is a stable CamelCase word.
	Reason string `json:"reason"`
	// Message says what to do.
	// +optional
	Message string `json:"message,omitempty"`
}

// HopState is the verdict on a hop.
// +kubebuilder:validation:Enum=Unknown;Healthy;Degraded;Dead
type HopState string

// The verdicts on a hop. Unknown until something measures it; Degraded is reachable but not within the policy's SLA.
const (
	HopUnknown  HopState = "Unknown"
	HopHealthy  HopState = "Healthy"
	HopDegraded HopState = "Degraded"
	HopDead     HopState = "Dead"
)

// HopStatus is one way to a peer.
type HopStatus struct {
	Policy  string `json:"policy"`
	Tunnel  string `json:"tunnel,omitempty"`
	Address string `json:"address"`
	Port    int32  `json:"port"`
	// +optional
	State HopState `json:"state,omitempty"`
	// Reason is a stable CamelCase word that says why the state is what it is.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Drained says that the operator has asked to leave the hop alone: it is used only where nothing else lives.
	// +optional
	Drained bool `json:"drained,omitempty"`
	// Since is when the hop entered its state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// RTTMs is the round-trip time in milliseconds, rounded up; not there while nothing has answered. The figures are
	// written when a state changes or when one has moved by more than a fifth, at most every 30 seconds; the controller's metrics have
	// them as they are. docs/tunnels.md says how they are estimated.
	// +optional
	RTTMs *int32 `json:"rttMs,omitempty"`
	// JitterMs is the mean deviation of the round-trip time in milliseconds, rounded up.
	// +optional
	JitterMs *int32 `json:"jitterMs,omitempty"`
	// LossPercent is the share of handshakes that lost a packet, in percent, rounded to a tenth.
	// +optional
	LossPercent *float64 `json:"lossPercent,omitempty"`
}

// PeerList is a list of Peers.
// +kubebuilder:object:root=true
type PeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Peer `json:"items"`
}
