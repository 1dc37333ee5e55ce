// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// minReader is the oldest reader that may act on what this version advertises.
const minReader int32 = 1

// maxPorts is how many ports an advertisement has room for: MaxItems of ServiceAdvertisementSpec.Ports.
const maxPorts = 250

// Input is what is known of one export in the own cluster.
type Input struct {
	// ClusterID is the own cluster.
	ClusterID string
	// Export is the ServiceExport; nil, or one that is being deleted, is no export.
	Export *mcsv1beta1.ServiceExport
	// Service has the export's namespace and name; nil when it does not exist.
	Service *corev1.Service
	// Slices are the EndpointSlices of the Service; others are left out of the count.
	Slices []discoveryv1.EndpointSlice
	// Policies are the WANPolicies of the own cluster with their status.
	Policies []v1alpha1.WANPolicy
	// Rules are what the owner says of requests to the service; nil for nothing. Those that mcs.CheckOwnerRules refuses are
	// not advertised.
	Rules *mcwanv1alpha1.ServiceExport
	// Previous is what is advertised now, if anything: ready counts stay on it while they are near it.
	Previous *v1alpha1.ServiceAdvertisementSpec
	// Draining says that this cluster is about to take the route away.
	Draining bool
	// DrainDeadline is when it does so at the latest; only with Draining.
	DrainDeadline *metav1.Time
}

// Result is what becomes of the export.
type Result struct {
	// Advertisement is what peers are told; nil when the service is not exported.
	Advertisement *v1alpha1.ServiceAdvertisementSpec
	// Policy is the WAN policy that the export uses in this cluster: the one it names, else the own default; empty when
	// there is none.
	Policy string
	// Conditions are Valid and, of a valid export, mcw.l7mp.io/PortsCarried, mcw.l7mp.io/WANPolicyResolved and, of a
	// headless one, mcw.l7mp.io/EndpointsCarried. They have
	// observedGeneration and no lastTransitionTime. Empty when there is no export.
	Conditions []metav1.Condition
}

// Advertise says what peers are told about an export. It leaves its input untouched, and the result shares no memory
// with it.
func Advertise(in Input) Result {
	if in.Export == nil || in.Export.DeletionTimestamp != nil {
		return Result{}
	}
	generation := in.Export.Generation
	valid := validity(in)
	if valid.Status != metav1.ConditionTrue {
		return Result{Conditions: []metav1.Condition{valid}}
	}
	spec := advertisement(in)
	named, carried := endpoints(in)
	spec.Endpoints = named
	policy, failover := resolve(in.Export.Annotations[v1alpha1.AnnotationWANPolicy], in.Policies).
		override(in.Export.Annotations[v1alpha1.AnnotationFailover], in.Policies)
	out := Result{Policy: policy.name, Conditions: []metav1.Condition{
		valid,
		mcs.PortsCarried(servicePorts(in.Service.Spec.Ports), generation),
		condition(v1alpha1.ConditionWANPolicy, policy.status, policy.reason, policy.message, generation),
	}}
	if carried != nil {
		out.Conditions = append(out.Conditions, *carried)
	}
	if !policy.holdsBack {
		spec.WANPolicy, spec.Failover = policy.advertised, failover
		out.Advertisement = &spec
	}
	return out
}

// Drain is the last word about an export that is gone: what was advertised, now draining until the deadline. A previous
// advertisement that is already draining keeps its deadline.
func Drain(previous v1alpha1.ServiceAdvertisementSpec, deadline metav1.Time) v1alpha1.ServiceAdvertisementSpec {
	out := *previous.DeepCopy()
	if !out.Draining || out.DrainDeadline == nil {
		out.Draining, out.DrainDeadline = true, &deadline
	}
	return out
}

// ExternalNameFix says what to do with a Service of type ExternalName.
const ExternalNameFix = "export the Service that it points to, or, if that is outside of the cluster, create the same ExternalName in each cluster"

// validity is the condition Valid of KEP-1645, L726-738 for the types of Services.
func validity(in Input) metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return condition(string(mcsv1beta1.ServiceExportConditionValid), metav1.ConditionFalse, reason, message, in.Export.Generation)
	}
	name := in.Export.Namespace + "/" + in.Export.Name
	if mcs.ProtectedNamespace(in.Export.Namespace) {
		return no(v1alpha1.RefusedNamespace,
			fmt.Sprintf("Namespace %s is protected: no cluster imports services of kube-*, istio-system or %s; export a Service of another namespace.", in.Export.Namespace, v1alpha1.Namespace))
	}
	if in.Service == nil {
		return no(string(mcsv1beta1.ServiceExportReasonNoService),
			fmt.Sprintf("There is no Service %s in this cluster; create it, or delete the ServiceExport.", name))
	}
	switch t := in.Service.Spec.Type; t {
	case "", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
	default:
		return no(string(mcsv1beta1.ServiceExportReasonInvalidServiceType),
			fmt.Sprintf("Service %s is of type %s, which has no backends to export; %s.", name, t, ExternalNameFix))
	}
	if n := len(in.Service.Spec.Ports); n > maxPorts {
		return no(v1alpha1.ReasonTooManyPorts,
			fmt.Sprintf("Service %s has %d ports and at most %d can be exported; split it.", name, n, maxPorts))
	}
	return condition(string(mcsv1beta1.ServiceExportConditionValid), metav1.ConditionTrue,
		string(mcsv1beta1.ServiceExportReasonValid), "The Service can be exported."+leftOut(in.Export), in.Export.Generation)
}

// leftOut names the exported labels and annotations that no ServiceImport can have, and the methods that are not repeated.
func leftOut(e *mcsv1beta1.ServiceExport) string {
	_, labels := mcs.ExportableLabels(e.Spec.ExportedLabels)
	_, annotations := mcs.ExportableAnnotations(e.Spec.ExportedAnnotations)
	_, methods := mcs.ParseIdempotent(e.Annotations[v1alpha1.AnnotationIdempotent])
	out := ""
	if len(labels) > 0 {
		out += fmt.Sprintf(" Not valid or reserved, so left out of spec.exportedLabels: %s.", bounded(labels))
	}
	if len(annotations) > 0 {
		out += fmt.Sprintf(" Not valid or reserved, so left out of spec.exportedAnnotations: %s.", bounded(annotations))
	}
	if len(methods) > 0 {
		out += fmt.Sprintf(" The annotation %s takes %s, separated by commas, so left out of it: %s.",
			v1alpha1.AnnotationIdempotent, strings.Join(mcs.IdempotentMethods(), " and "), bounded(methods))
	}
	return out
}

// advertisement is the export as other clusters see it, but for its policy. Labels and annotations are those of the
// export's spec alone: KEP-1645 L482-486 forbids to take them from metadata.
func advertisement(in Input) v1alpha1.ServiceAdvertisementSpec {
	service := in.Service.Spec.DeepCopy()
	out := v1alpha1.ServiceAdvertisementSpec{
		ClusterID:             in.ClusterID,
		Namespace:             in.Export.Namespace,
		Name:                  in.Export.Name,
		MinReader:             minReader,
		ExportedAt:            exportedAt(in.Export),
		Type:                  string(mcsv1beta1.ClusterSetIP),
		Ports:                 advertisedPorts(in),
		IPFamilies:            service.IPFamilies,
		SessionAffinity:       service.SessionAffinity,
		SessionAffinityConfig: service.SessionAffinityConfig,
		InternalTrafficPolicy: service.InternalTrafficPolicy,
		TrafficDistribution:   service.TrafficDistribution,
		Draining:              in.Draining,
	}
	if headless(in.Service) {
		out.Type = string(mcsv1beta1.Headless)
	}
	out.ExportedLabels, _ = mcs.ExportableLabels(in.Export.Spec.ExportedLabels)
	out.ExportedAnnotations, _ = mcs.ExportableAnnotations(in.Export.Spec.ExportedAnnotations)
	out.IdempotentMethods, _ = mcs.ParseIdempotent(in.Export.Annotations[v1alpha1.AnnotationIdempotent])
	if in.Rules != nil && in.Rules.DeletionTimestamp == nil && mcs.CheckOwnerRules(&in.Rules.Spec) == nil {
		out.Rules = in.Rules.Spec.DeepCopy()
	}
	if in.Draining {
		out.DrainDeadline = in.DrainDeadline.DeepCopy()
	}
	return out
}

// exportedAt is the creation time of the export. One that comes from a file has none; the epoch stands for it, because no
// time at all is refused by the merge.
func exportedAt(e *mcsv1beta1.ServiceExport) metav1.Time {
	if e.CreationTimestamp.IsZero() {
		return metav1.Unix(0, 0)
	}
	return e.CreationTimestamp
}

func servicePorts(ports []corev1.ServicePort) []mcsv1beta1.ServicePort {
	out := make([]mcsv1beta1.ServicePort, 0, len(ports))
	for _, p := range ports {
		out = append(out, mcsv1beta1.ServicePort{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
	}
	return out
}

func condition(kind string, status metav1.ConditionStatus, reason, message string, generation int64) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation}
}

// bounded is a list of quoted names for a message: at most 20 of them, each cut to 80 bytes, because users may write
// anything and a condition's message is limited to 32 KiB.
func bounded(names []string) string {
	const most = 20
	var out []string
	for i, n := range names {
		if i == most {
			out = append(out, fmt.Sprintf("%d more", len(names)-most))
			break
		}
		out = append(out, quoted(n))
	}
	return strings.Join(out, ", ")
}

func quoted(name string) string {
	const longest = 80
	if len(name) > longest {
		return fmt.Sprintf("%q...", name[:longest])
	}
	return fmt.Sprintf("%q", name)
}
