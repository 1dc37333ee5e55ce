// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

// Merged is one service as the whole clusterset exports it. The zero value stands for "nobody exports it".
type Merged struct {
	// Type is empty when nobody exports the service.
	Type mcsv1beta1.ServiceImportType
	// Ports is the union of the exporters' ports: those of the export of highest precedence first, each export's in its
	// own order. Never nil when somebody exports the service, because spec.ports of a ServiceImport is not nullable.
	Ports []MergedPort
	// SessionAffinity is never empty when somebody exports the service.
	SessionAffinity       corev1.ServiceAffinity
	SessionAffinityConfig *corev1.SessionAffinityConfig
	InternalTrafficPolicy *corev1.ServiceInternalTrafficPolicy
	TrafficDistribution   *string
	// Labels and Annotations are the exported ones (ServiceExport.spec), for the ServiceImport's metadata.
	Labels      map[string]string
	Annotations map[string]string
	// IPFamilies are the families of the exporters: all of them for ClusterSetIP, because gateways carry either family
	// to any backend; those common to all for Headless. Empty when no exporter says any.
	IPFamilies []corev1.IPFamily
	// Clusters are the ids of the exporting clusters, sorted.
	Clusters []string
	// WANPolicy is the policy that the oldest export names; empty stands for the importing cluster's default policy.
	WANPolicy string
	// Failover is what the oldest export says in place of the policy's own failover; nil where it says nothing.
	Failover *v1alpha1.Failover
	// Idempotent are the methods that may be repeated after they have been sent, besides those that always may: those that
	// all exports name, because a request that is repeated may go to another cluster. That of a headless service's endpoint
	// does not, but one rule for a service is easier to tell. Sorted.
	Idempotent []string
	// Unrepeated are those that only some exports name, sorted by method.
	Unrepeated []Unrepeated
	// Conflicts are KEP-1645's, in a fixed order of reasons; the same for all constituent exports.
	Conflicts []Conflict
	// PolicyConflict is set when exporters name different WAN policies, or different failovers.
	PolicyConflict *Conflict
	// Rules are what the owner says of requests to the service: the oldest export's that says anything; nil for nothing.
	Rules *mcwanv1alpha1.ServiceExportSpec
	// RulesConflict is set when owners say different things; its reason is mcwanv1alpha1.ReasonRulesConflict.
	RulesConflict *Conflict
	// Ignored are the exports that were treated as absent, and why, sorted by cluster id.
	Ignored []Ignored
}

// Unrepeated is a method that is not repeated because these clusters' exports do not name it.
type Unrepeated struct {
	Method   string
	Clusters []string
}

// MergedPort is a port of the merged service.
type MergedPort struct {
	mcsv1beta1.ServicePort
	// Clusters are the ids of the clusters that really expose this port (same name, protocol and number), sorted; only
	// they may get its traffic. Never empty.
	Clusters []string
}

// Conflict is one thing that exporters disagree about.
type Conflict struct {
	// Reason is one of the ServiceExportReason*Conflict constants, or v1alpha1.ReasonPolicyConflict.
	Reason mcsv1beta1.ServiceExportConditionReason
	// Message names the winner and how many disagree. It depends on nothing but the exports.
	Message string
}

// Ignored is an export that the merge treated as absent.
type Ignored struct {
	ClusterID string
	// Err says which field is wrong.
	Err error
}

// Exported says whether anybody exports the service.
func (m Merged) Exported() bool { return len(m.Clusters) > 0 }

// ExportedBy says whether the cluster is one of the constituent exporters.
func (m Merged) ExportedBy(clusterID string) bool {
	_, found := slices.BinarySearch(m.Clusters, clusterID)
	return found
}

// ServicePorts are the ports as a ServiceImport lists them; never nil.
func (m Merged) ServicePorts() []mcsv1beta1.ServicePort {
	out := make([]mcsv1beta1.ServicePort, 0, len(m.Ports))
	for _, p := range m.Ports {
		out = append(out, p.ServicePort)
	}
	return out
}

// Carried says whether the gateways can carry a port of this protocol: they are TCP proxies.
func Carried(protocol corev1.Protocol) bool { return protocol == corev1.ProtocolTCP || protocol == "" }
