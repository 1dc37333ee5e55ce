// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// AnnotationDummyServices with the value "false" on a ServiceImport, of this group or of the Multi-Cluster Services API: this
// import has no dummy Services. Its rules work without them.
const AnnotationDummyServices = "mcw.l7mp.io/dummy-services"

// MaxRulesBytes bounds the rules of one object, as JSON. A VirtualService says a match up to four times, and etcd keeps no
// object of more than 1.5 MiB.
const MaxRulesBytes = 64 << 10

// Condition types of a ServiceImport and a ServiceExport.
const (
	// ConditionAccepted is False while a rule cannot be carried out as it is written; requests that it matches, or could
	// match, are answered with 500.
	ConditionAccepted = string(gatewayv1.RouteConditionAccepted)
	// ConditionResolvedRefs is False while a backendRef names nothing; its share of the requests is answered with an error.
	ConditionResolvedRefs = string(gatewayv1.RouteConditionResolvedRefs)
	// ConditionProgrammed says whether the configuration of the gateway that keeps these rules has been written: of a
	// ServiceImport the egress gateway's, of a ServiceExport the ingress gateway's.
	ConditionProgrammed = string(gatewayv1.GatewayConditionProgrammed)
	// ConditionConflict on a ServiceExport is True while exporters of the service have different rules: the oldest
	// export's are followed by consumers.
	ConditionConflict = "Conflict"
)

// Reasons of the conditions.
const (
	ReasonAccepted         = string(gatewayv1.RouteReasonAccepted)
	ReasonUnsupportedValue = string(gatewayv1.RouteReasonUnsupportedValue)
	// ReasonNoSuchPort: a rule is for a port that the service does not have.
	ReasonNoSuchPort = string(gatewayv1.RouteReasonNoMatchingParent)
	// ReasonNotHTTP: a rule is for a port that does not speak HTTP.
	ReasonNotHTTP = string(gatewayv1.ListenerReasonUnsupportedProtocol)

	// ReasonNotAllowedByOwner is Accepted=False of a ServiceImport whose service's owner lets no consumer have own rules.
	ReasonNotAllowedByOwner = "NotAllowedByOwner"
	// ReasonTooLarge is Accepted=False where rules are more than one object can carry (MaxRulesBytes), and of a ServiceExport
	// whose rules do not fit into an advertisement; Programmed=False where the API server found what was made of them too large.
	ReasonTooLarge = "TooLarge"

	ReasonResolvedRefs    = string(gatewayv1.RouteReasonResolvedRefs)
	ReasonBackendNotFound = string(gatewayv1.RouteReasonBackendNotFound)
	// ReasonPolicyNotOffered: no cluster that exports the service receives on that WAN policy.
	ReasonPolicyNotOffered = "PolicyNotOffered"

	ReasonProgrammed = string(gatewayv1.GatewayReasonProgrammed)
	// ReasonPending is that of ResolvedRefs while there is no import, and of Programmed while a new import waits for clusters
	// that have not been read yet.
	ReasonPending = string(gatewayv1.RouteReasonPending)
	// ReasonNotImported: no cluster exports a service of that namespace and name, or the namespace is going away.
	ReasonNotImported = "NotImported"
	// ReasonNameTaken is Programmed=False while an object that somebody else has made has the name of one that the import
	// needs, such as a ServiceImport of the Multi-Cluster Services API.
	ReasonNameTaken = "NameTaken"
	// ReasonNotWritten is Programmed=False while the API server, or an admission webhook, refuses what is made of the rules.
	ReasonNotWritten = "NotWritten"
	// ReasonNoLeg: the import has no HTTP port at the egress gateway that a rule is for.
	ReasonNoLeg = "NoHTTPPort"
	// ReasonNotExported: there is no ServiceExport of the Multi-Cluster Services API of that namespace and name, or it is
	// not in force.
	ReasonNotExported = "NotExported"

	ReasonRulesConflict = "RulesConflict"
	ReasonNoConflict    = "NoConflicts"
)
