// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WANPolicy names a tunnel of the SD-WAN, the TCP port by which the SD-WAN sorts packets into it, and the service
// level expected of it. A port belongs to the cluster that receives on it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=wanp,categories=mc-wan
// +kubebuilder:printcolumn:name="Tunnel",type=string,JSONPath=`.spec.tunnel`
// +kubebuilder:printcolumn:name="Port",type=integer,JSONPath=`.spec.port`
// +kubebuilder:printcolumn:name="Default",type=boolean,JSONPath=`.spec.default`
// +kubebuilder:printcolumn:name="Failover",type=string,JSONPath=`.spec.failover.mode`
// +kubebuilder:printcolumn:name="Standby",type=string,JSONPath=`.spec.standby`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be a DNS label of at most 63 characters: it becomes part of label values and Service names"
type WANPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec WANPolicySpec `json:"spec"`
	// +optional
	Status WANPolicyStatus `json:"status,omitempty"`
}

// WANPolicySpec is what the operator says about a tunnel.
// +kubebuilder:validation:XValidation:rule="!has(self.standby) || self.standby != 'Warm' || !has(self.failover) || !has(self.failover.mode) || self.failover.mode != 'Strict'",message="standby Warm needs another tunnel, and failover.mode Strict has none; take it out or choose another mode"
type WANPolicySpec struct {
	// Tunnel is the SD-WAN's name of the tunnel.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Tunnel string `json:"tunnel"`

	// Port is the TCP port on which this cluster's ingress gateway receives what shall cross this tunnel. It must be
	// unique among the policies of a cluster. 10000 to 29999 carry legs and 15000 to 15100 are Istio's, see
	// docs/kinds/wanpolicy.md.
	// +required
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:validation:XValidation:rule="self < 15000 || self > 15100",message="15000 to 15100 belong to Istio's proxies; choose another port"
	// +kubebuilder:validation:XValidation:rule="self < 10000 || self > 29999",message="10000 to 29999 belong to the legs of the egress gateway; choose another port, such as 31111"
	Port int32 `json:"port"`

	// SLA is the service level expected of the tunnel.
	// +optional
	SLA *SLA `json:"sla,omitempty"`

	// Default makes this the policy of exports that name none. The oldest default wins.
	// +optional
	Default bool `json:"default,omitempty"`

	// Drain asks that this cluster send nothing over the tunnel while another way serves, as before maintenance of it.
	// `mcwanctl drain --wan-policy` sets it.
	// +optional
	Drain bool `json:"drain,omitempty"`

	// Failover says where traffic goes when the tunnel fails.
	// +optional
	// +kubebuilder:default={mode: Automatic}
	Failover *Failover `json:"failover,omitempty"`

	// Standby Warm keeps HTTP connections open over the tunnel that comes next, so that the first requests that move there
	// need one of its round trips and not three. Each connection costs that tunnel about 500 bytes a second, see
	// docs/kinds/wanpolicy.md. Cold, the default, opens them when they are needed first.
	// +optional
	Standby Standby `json:"standby,omitempty"`
}

// SLA bounds what a tunnel may do to packets before traffic leaves it.
type SLA struct {
	// JitterMs is the largest acceptable mean deviation of the round-trip time, in milliseconds.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60000
	JitterMs *int32 `json:"jitter-ms,omitempty"`
	// LatencyMs is the largest acceptable round-trip time, in milliseconds.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60000
	LatencyMs *int32 `json:"latency-ms,omitempty"`
	// LossPercent is the largest acceptable share of lost packets, in percent; fractions such as 0.5 are allowed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	LossPercent *float64 `json:"loss-percent,omitempty"`
}

// FailoverMode is how the tunnels after the first are chosen.
// +kubebuilder:validation:Enum=Automatic;Ordered;Strict
type FailoverMode string

const (
	// FailoverAutomatic takes all other policies, those of other tunnels first, and of them the best SLA first.
	FailoverAutomatic FailoverMode = "Automatic"
	// FailoverOrdered takes the policies listed in To, in that order, and no other.
	FailoverOrdered FailoverMode = "Ordered"
	// FailoverStrict never leaves the policy's own tunnel.
	FailoverStrict FailoverMode = "Strict"
)

// Standby is what is kept ready for when a tunnel fails.
// +kubebuilder:validation:Enum=Cold;Warm
type Standby string

const (
	// StandbyCold makes connections over a tunnel when they are needed first.
	StandbyCold Standby = "Cold"
	// StandbyWarm keeps connections open over the tunnel that comes next.
	StandbyWarm Standby = "Warm"
)

// Failover says where the traffic of a policy goes when its tunnel fails.
// +kubebuilder:validation:XValidation:rule="self.mode == 'Ordered' ? has(self.to) && size(self.to) > 0 : !has(self.to) || size(self.to) == 0",message="failover.to is needed with mode Ordered and only with it"
type Failover struct {
	// +optional
	// +kubebuilder:default=Automatic
	Mode FailoverMode `json:"mode,omitempty"`
	// To lists WANPolicies by name, first choice first; only with mode Ordered.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	To []string `json:"to,omitempty"`
}

// WANPolicyStatus is what the controller of this cluster sees of the policy.
type WANPolicyStatus struct {
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Peers says on which port each joined cluster receives for this policy.
	// +optional
	// +listType=map
	// +listMapKey=clusterID
	Peers []WANPolicyPeer `json:"peers,omitempty"`
}

// WANPolicyPeer is a policy as a peer's card tells it.
type WANPolicyPeer struct {
	ClusterID string `json:"clusterID"`
	Tunnel    string `json:"tunnel"`
	Port      int32  `json:"port"`
}

// WANPolicyList is a list of WANPolicies.
// +kubebuilder:object:root=true
type WANPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WANPolicy `json:"items"`
}
