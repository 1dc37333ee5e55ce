// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// ServiceImport says over which WAN policy the requests to the imported service of the same namespace and name go, by
// what is in the request. What no rule matches is denied. Without a ServiceImport of this group, the WAN policy of the
// service's export holds for all requests.
//
// Its plural is not "serviceimports": kubectl looks a plural up in the groups in their alphabetical order, and
// "kubectl get serviceimports" is to mean the kind of the Multi-Cluster Services API.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=l7serviceimports,singular=l7serviceimport,shortName=l7si,categories=mc-wan
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Resolved",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.status!="True")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ServiceImport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ServiceImportSpec `json:"spec"`
	// +optional
	Status ServiceImportStatus `json:"status,omitempty"`
}

// ServiceImportSpec is what is said of the requests to a service.
//
// +kubebuilder:validation:XValidation:message="retry.backoff can be kept by the owner's gateway only: of a ServiceExport",rule="self.http.rules.all(r, !has(r.retry) || !has(r.retry.backoff))"
type ServiceImportSpec struct {
	// HTTP is about the service's HTTP ports.
	// +required
	HTTP HTTPRules `json:"http"`
}

// HTTPRules are rules for HTTP requests.
type HTTPRules struct {
	// Rules are tried in the Gateway API's order of precedence of their matches, not in the order of the list: an exact
	// path before the longest path prefix before a regular expression, then a method, then the most headers, then the
	// most query parameters; equal ones in the order of the list. A request that no rule matches is answered with 403.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Rules []HTTPRule `json:"rules"`
}

// HTTPRule says what becomes of the requests that it matches.
//
// +kubebuilder:validation:XValidation:message="a rule needs backendRefs or a RequestRedirect filter, and not both",rule="(has(self.backendRefs) && size(self.backendRefs) > 0) != (has(self.filters) && self.filters.exists(f, f.type == 'RequestRedirect'))"
// +kubebuilder:validation:XValidation:message="path.replacePrefixMatch needs exactly one match, with a path of type PathPrefix",rule="(has(self.filters) && self.filters.exists(f, (has(f.urlRewrite) && has(f.urlRewrite.path) && f.urlRewrite.path.type == 'ReplacePrefixMatch') || (has(f.requestRedirect) && has(f.requestRedirect.path) && f.requestRedirect.path.type == 'ReplacePrefixMatch'))) ? (has(self.matches) && size(self.matches) == 1 && has(self.matches[0].path) && self.matches[0].path.type == 'PathPrefix') : true"
type HTTPRule struct {
	// Ports are the numbers of the service ports that the rule is for; none is all HTTP ports of the service. A port that
	// no rule is for keeps the WAN policy of the export.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	Ports []int32 `json:"ports,omitempty"`

	// Matches are alternatives; none matches every request. Headers that the gateways write cannot be matched.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="headers host, x-forwarded-host and x-mcw-* are the gateways' and cannot be matched",rule="self.all(m, !has(m.headers) || m.headers.all(h, !(h.name.lowerAscii() in ['host', 'x-forwarded-host']) && !h.name.lowerAscii().startsWith('x-mcw-')))"
	Matches []gatewayv1.HTTPRouteMatch `json:"matches,omitempty"`

	// Filters change the request or its answer. RequestHeaderModifier, ResponseHeaderModifier, URLRewrite,
	// RequestRedirect and RequestMirror are known.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="filters can be RequestHeaderModifier, ResponseHeaderModifier, URLRewrite, RequestRedirect and RequestMirror",rule="self.all(f, f.type in ['RequestHeaderModifier', 'ResponseHeaderModifier', 'URLRewrite', 'RequestRedirect', 'RequestMirror'])"
	// +kubebuilder:validation:XValidation:message="RequestRedirect and URLRewrite exclude each other",rule="!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))"
	// +kubebuilder:validation:XValidation:message="a filter other than RequestMirror cannot be repeated",rule="['RequestHeaderModifier','ResponseHeaderModifier','URLRewrite','RequestRedirect'].all(t, self.filter(f, f.type == t).size() <= 1)"
	Filters []gatewayv1.HTTPRouteFilter `json:"filters,omitempty"`

	// BackendRefs name dummy Services of this very service, which stand for a WAN policy.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	BackendRefs []BackendRef `json:"backendRefs,omitempty"`

	// Timeouts bound how long the exporting cluster's gateway waits for the service: request with all of its own tries,
	// backendRequest for each of them. What takes longer is answered with 504. They are not counted against the tunnel.
	// +optional
	Timeouts *gatewayv1.HTTPRouteTimeouts `json:"timeouts,omitempty"`

	// Retry says which answers of the service make the exporting cluster's gateway ask it again. What fails on the way
	// to that gateway is tried again on the next hop whatever stands here. Without attempts it is 2. Backoff is
	// for owners: of a ServiceExport.
	// +optional
	// +kubebuilder:validation:XValidation:message="attempts must be within 0 to 10",rule="!has(self.attempts) || (self.attempts >= 0 && self.attempts <= 10)"
	// +kubebuilder:validation:XValidation:message="at most 16 codes",rule="!has(self.codes) || size(self.codes) <= 16"
	Retry *gatewayv1.HTTPRouteRetry `json:"retry,omitempty"`
}

// BackendRef names a dummy Service: this service over one WAN policy.
type BackendRef struct {
	// Name is <service>-<namespace>-<WANPolicy>.
	// +required
	Name gatewayv1.ObjectName `json:"name"`
	// Namespace is where dummy Services are: mc-wan.
	// +optional
	// +kubebuilder:default=mc-wan
	Namespace gatewayv1.Namespace `json:"namespace,omitempty"`
	// Weight is the share of requests, out of the sum of all weights of the rule.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight *int32 `json:"weight,omitempty"`
}

// ServiceImportStatus is what the controller of this cluster makes of the rules.
type ServiceImportStatus struct {
	// Conditions are Accepted, ResolvedRefs and Programmed; reasons are the Gateway API's where it has a word.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ServiceImportList is a list of ServiceImports.
// +kubebuilder:object:root=true
type ServiceImportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServiceImport `json:"items"`
}
