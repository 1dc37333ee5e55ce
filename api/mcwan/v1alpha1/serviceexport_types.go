// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServiceExport says for all consumers of the exported service of the same namespace and name over which WAN policy its
// requests go, by what is in the request. What no rule matches is denied: at the consumers' egress gateways, and at this
// cluster's ingress gateway, whoever calls. It exports nothing: the ServiceExport of the Multi-Cluster Services API does.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=l7serviceexports,singular=l7serviceexport,shortName=l7se,categories=mc-wan
// +kubebuilder:printcolumn:name="Consumers",type=string,JSONPath=`.spec.consumerRules`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Resolved",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Conflict",type=string,JSONPath=`.status.conditions[?(@.type=="Conflict")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.status!="True")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ServiceExport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ServiceExportSpec `json:"spec"`
	// +optional
	Status ServiceExportStatus `json:"status,omitempty"`
}

// ServiceExportSpec is what the owner of a service says of the requests to it.
type ServiceExportSpec struct {
	// ConsumerRules says whether a consuming cluster's own ServiceImport of this group takes the place of these rules
	// there. Either way, what these rules deny is denied by this cluster's ingress gateway.
	// +optional
	// +kubebuilder:default=Allowed
	ConsumerRules ConsumerRules `json:"consumerRules,omitempty"`
	// HTTP is about the service's HTTP ports.
	// +required
	HTTP HTTPRules `json:"http"`
}

// ConsumerRules is Allowed or Refused.
// +kubebuilder:validation:Enum=Allowed;Refused
type ConsumerRules string

// Values of ConsumerRules.
const (
	ConsumerRulesAllowed ConsumerRules = "Allowed"
	ConsumerRulesRefused ConsumerRules = "Refused"
)

// ServiceExportStatus is what the controller of this cluster makes of the rules.
type ServiceExportStatus struct {
	// Conditions are Accepted, ResolvedRefs, Programmed and Conflict; reasons are the Gateway API's where it has a word.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ServiceExportList is a list of ServiceExports.
// +kubebuilder:object:root=true
type ServiceExportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServiceExport `json:"items"`
}
