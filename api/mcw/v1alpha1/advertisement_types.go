// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

// MaxRulesBytes bounds ServiceAdvertisementSpec.Rules as JSON: a feed is read as a whole, and one owner's rules must not
// make it too large for everybody.
const MaxRulesBytes = 16 << 10

// ReaderVersion is the version of the advertisement's meaning that this code understands. An advertisement whose
// MinReader is higher leaves the last good one in place and raises a condition on the Peer.
const ReaderVersion int32 = 1

// ServiceAdvertisement is what a cluster publishes about one of its exports. Own ones are written by the export side
// and served to peers; copies of peers' ones carry the label mcw.l7mp.io/source-cluster of the peer.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=svcadv,categories=mc-wan
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterID`
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.namespace`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.spec.wanPolicy`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.spec.ports[*].readyBackends`
// +kubebuilder:printcolumn:name="Draining",type=boolean,JSONPath=`.spec.draining`,priority=1
// +kubebuilder:printcolumn:name="By hand",type=string,JSONPath=`.metadata.labels.mcw\.l7mp\.io/manual`,priority=1
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ServiceAdvertisement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ServiceAdvertisementSpec `json:"spec"`
	// +optional
	Status *ServiceAdvertisementStatus `json:"status,omitempty"`
}

// ServiceAdvertisementStatus is what the controller says of an advertisement that was written by hand. Others have none: what
// was refused of a peer's stands in its Peer.
type ServiceAdvertisementStatus struct {
	// Conditions: Accepted.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ServiceAdvertisementSpec is the export as other clusters see it.
type ServiceAdvertisementSpec struct {
	// ClusterID is the exporting cluster.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	ClusterID string `json:"clusterID"`
	// Namespace of the exported Service.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace"`
	// Name of the exported Service. It may start with a digit, as Services may since Kubernetes 1.36.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// MinReader is the oldest reader (ReaderVersion) that may act on this advertisement.
	// +optional
	MinReader int32 `json:"minReader,omitempty"`
	// ExportedAt is the creation time of the ServiceExport: precedence between exporters (KEP-1645 "Conflict resolution").
	// +required
	ExportedAt metav1.Time `json:"exportedAt"`
	// Type is ClusterSetIP or Headless.
	// +required
	// +kubebuilder:validation:Enum=ClusterSetIP;Headless
	Type string `json:"type"`
	// Ports are the Service's ports, all protocols.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=250
	Ports []AdvertisedPort `json:"ports,omitempty"`
	// Endpoints are the ready endpoints of a Headless service, by name; at most MaxEndpoints.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Endpoints []AdvertisedEndpoint `json:"endpoints,omitempty"`
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2
	IPFamilies []corev1.IPFamily `json:"ipFamilies,omitempty"`
	// +optional
	SessionAffinity corev1.ServiceAffinity `json:"sessionAffinity,omitempty"`
	// +optional
	SessionAffinityConfig *corev1.SessionAffinityConfig `json:"sessionAffinityConfig,omitempty"`
	// +optional
	InternalTrafficPolicy *corev1.ServiceInternalTrafficPolicy `json:"internalTrafficPolicy,omitempty"`
	// +optional
	TrafficDistribution *string `json:"trafficDistribution,omitempty"`
	// +optional
	ExportedLabels map[string]string `json:"exportedLabels,omitempty"`
	// +optional
	ExportedAnnotations map[string]string `json:"exportedAnnotations,omitempty"`
	// WANPolicy is the policy the export names; empty stands for the importing cluster's default policy.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	WANPolicy string `json:"wanPolicy,omitempty"`
	// Failover says where the traffic goes when the tunnel fails, in place of the failover of the importing cluster's
	// policy.
	// +optional
	Failover *Failover `json:"failover,omitempty"`
	// IdempotentMethods are the HTTP methods besides GET, HEAD and OPTIONS that may be repeated after they have been sent. A
	// reader repeats those of them that it knows: PUT, DELETE.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=16
	// +kubebuilder:validation:items:Pattern=`^[A-Z]+$`
	IdempotentMethods []string `json:"idempotentMethods,omitempty"`
	// Rules are what the owner of the service says of requests to it; none for nothing. A reader that does not know them
	// sends all requests over WANPolicy, and the exporter's ingress gateway denies what they deny.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Rules *mcwanv1alpha1.ServiceExportSpec `json:"rules,omitempty"`
	// Draining says that the exporter is about to take its route away: choose it only where it is the only one.
	// +optional
	Draining bool `json:"draining,omitempty"`
	// DrainDeadline is when the exporter takes its route away at the latest.
	// +optional
	DrainDeadline *metav1.Time `json:"drainDeadline,omitempty"`
}

// AdvertisedPort is one port of an exported Service.
type AdvertisedPort struct {
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// +required
	// +kubebuilder:validation:Enum=TCP;UDP;SCTP
	Protocol corev1.Protocol `json:"protocol"`
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// AppProtocol is as the Service says it: a qualified name, of at most 253 + 1 + 63 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	AppProtocol *string `json:"appProtocol,omitempty"`
	// ReadyBackends counts the ready endpoints behind the port, rounded so that scaling does not churn the fleet; zero is exact.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	ReadyBackends int32 `json:"readyBackends"`
}

// MaxEndpoints is how many endpoints of a headless Service one cluster advertises. Each costs every importing cluster a
// ClusterIP and two listener ports per service port.
const MaxEndpoints = 64

// AdvertisedEndpoint is one ready endpoint of a headless Service. Its address means nothing in other clusters, so it is
// not told.
type AdvertisedEndpoint struct {
	// Hostname is the endpoint's hostname, such as a StatefulSet pod's name, or one made of its address.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Hostname string `json:"hostname"`
}

// ServiceAdvertisementList is a list of ServiceAdvertisements.
// +kubebuilder:object:root=true
type ServiceAdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServiceAdvertisement `json:"items"`
}

// ClusterAdvertisement is a cluster's card: what it publishes about itself.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=card,categories=mc-wan
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterID`
// +kubebuilder:printcolumn:name="Generation",type=integer,JSONPath=`.spec.generation`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.versions.controller`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterAdvertisement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ClusterAdvertisementSpec `json:"spec"`
}

// ClusterAdvertisementSpec is a cluster's card.
type ClusterAdvertisementSpec struct {
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	ClusterID string `json:"clusterID"`
	// ClusterUID is the uid of the kube-system namespace.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ClusterUID string `json:"clusterUID"`
	// Generation grows with every change of the card; of one cluster uid the highest wins.
	// +required
	// +kubebuilder:validation:Minimum=1
	Generation int64 `json:"generation"`
	// +required
	Identities Identities `json:"identities"`
	// TrustRoot is the SHA-256 fingerprint of the root certificate that the mesh trusts.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	TrustRoot string `json:"trustRoot,omitempty"`
	// Addresses are the ready ingress gateways as they are routed over the SD-WAN.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Policies []OfferedPolicy `json:"policies,omitempty"`
	// +optional
	Versions Versions `json:"versions,omitempty"`
	// Advertisements is how many ServiceAdvertisements the cluster publishes: a feed that disagrees is unreadable.
	// +optional
	Advertisements int32 `json:"advertisements"`
	// Drained lists the draining advertisements of peers that this cluster no longer sends traffic to.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	Drained []DrainAck `json:"drained,omitempty"`
}

// DrainAck acknowledges one draining advertisement.
type DrainAck struct {
	ClusterID string `json:"clusterID"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Deadline is the advertisement's drainDeadline in seconds since 1970: an acknowledgement says nothing about a
	// later draining of the same service.
	// +optional
	Deadline int64 `json:"deadline,omitempty"`
}

// Versions says what a cluster runs.
type Versions struct {
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Controller string `json:"controller,omitempty"`
	// Reader is the advertisement version the controller understands.
	// +optional
	Reader int32 `json:"reader,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Kubernetes string `json:"kubernetes,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Istio string `json:"istio,omitempty"`
}

// ClusterAdvertisementList is a list of ClusterAdvertisements.
// +kubebuilder:object:root=true
type ClusterAdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterAdvertisement `json:"items"`
}
