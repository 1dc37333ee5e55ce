// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// ExportState is what is known of one ServiceExport of the own cluster.
type ExportState struct {
	// ClusterID is the own cluster.
	ClusterID string
	// Generation is the ServiceExport's metadata.generation, for observedGeneration.
	Generation int64
	// Local are the conditions that package advertise found.
	Local []metav1.Condition
	// Advertisement is what package advertise made of the export; nil when it is invalid or held back.
	Advertisement *v1alpha1.ServiceAdvertisementSpec
	// Published says whether that advertisement stands where peers read it. False is Ready=False/Pending.
	Published bool
	// Merged is the merge of all clusters' exports of the name; the zero value while it is not known.
	Merged Merged
}

// ExportConditions are the conditions of a ServiceExport: Valid, Ready, Conflict, and the own ones. Conflict is there only
// for a constituent of the merged service. They have no lastTransitionTime: who
// applies them keeps it or sets it (apply.Applier.ApplyStatus).
func ExportConditions(s ExportState) []metav1.Condition {
	valid := meta.FindStatusCondition(s.Local, string(mcsv1beta1.ServiceExportConditionValid))
	if valid == nil {
		return nil
	}
	out := []metav1.Condition{*valid, exportReady(s, *valid)}
	if c, ok := exportConflict(s); ok {
		out = append(out, c)
	}
	for _, kind := range []string{v1alpha1.ConditionPortsCarried, v1alpha1.ConditionEndpointsCarried} {
		if c := meta.FindStatusCondition(s.Local, kind); c != nil {
			out = append(out, *c)
		}
	}
	if c := meta.FindStatusCondition(s.Local, v1alpha1.ConditionWANPolicy); c != nil {
		out = append(out, agreedPolicy(s, *c))
	}
	for i := range out {
		out[i].ObservedGeneration = s.Generation
	}
	return out
}

// exportReady is True once peers can read the advertisement: the pull model of KEP-1645, whose reason is Ready.
func exportReady(s ExportState, valid metav1.Condition) metav1.Condition {
	no := func(reason mcsv1beta1.ServiceExportConditionReason, message string) metav1.Condition {
		return condition(string(mcsv1beta1.ServiceExportConditionReady), metav1.ConditionFalse, string(reason), message, s.Generation)
	}
	switch {
	case valid.Status != metav1.ConditionTrue:
		return no(mcsv1beta1.ServiceExportReasonPending, "Not exported: "+valid.Message)
	case s.Advertisement == nil:
		return no(mcsv1beta1.ServiceExportReasonFailed, "Not exported: "+heldBack(s.Local))
	}
	if _, message := NoneCarried(advertisedPorts(*s.Advertisement)); message != "" {
		return no(mcsv1beta1.ServiceExportReasonFailed, message)
	}
	if !s.Published {
		return no(mcsv1beta1.ServiceExportReasonPending, "The advertisement is being written.")
	}
	if err := ignoredBecause(s); err != nil {
		return no(mcsv1beta1.ServiceExportReasonFailed, "Not exported: "+err.Error())
	}
	return condition(string(mcsv1beta1.ServiceExportConditionReady), metav1.ConditionTrue,
		string(mcsv1beta1.ServiceExportReasonReady), "The export is ready to be read by other clusters."+unrepeated(s), s.Generation)
}

// unrepeated says which of the methods that the export calls idempotent are not repeated all the same.
func unrepeated(s ExportState) string {
	var out strings.Builder
	for _, u := range s.Merged.Unrepeated {
		if slices.Contains(s.Advertisement.IdempotentMethods, u.Method) {
			fmt.Fprintf(&out, " %s is not repeated, because not all exports call it idempotent; missing: %s.", u.Method, strings.Join(u.Clusters, ", "))
		}
	}
	return out.String()
}

// heldBack is why a valid export is not advertised: the only thing that holds one back is its WAN policy.
func heldBack(local []metav1.Condition) string {
	if c := meta.FindStatusCondition(local, v1alpha1.ConditionWANPolicy); c != nil && c.Status != metav1.ConditionTrue {
		return c.Message
	}
	return "its advertisement is held back."
}

func ignoredBecause(s ExportState) error {
	if s.Merged.ExportedBy(s.ClusterID) {
		return nil
	}
	for _, i := range s.Merged.Ignored {
		if i.ClusterID == s.ClusterID {
			return i.Err
		}
	}
	return nil
}

// exportConflict is told to all constituent exports alike, KEP-1645 L1048-1052; several reasons are joined by commas, as the
// Go documentation of the condition says.
func exportConflict(s ExportState) (metav1.Condition, bool) {
	kind := string(mcsv1beta1.ServiceExportConditionConflict)
	if s.Advertisement == nil || !s.Merged.ExportedBy(s.ClusterID) {
		return metav1.Condition{}, false
	}
	if len(s.Merged.Conflicts) == 0 {
		return condition(kind, metav1.ConditionFalse, string(mcsv1beta1.ServiceExportReasonNoConflicts),
			"All clusters that export the service agree.", s.Generation), true
	}
	var reasons, messages []string
	for _, c := range s.Merged.Conflicts {
		reasons, messages = append(reasons, string(c.Reason)), append(messages, c.Message)
	}
	return condition(kind, metav1.ConditionTrue, strings.Join(reasons, ","), strings.Join(messages, " "), s.Generation), true
}

// agreedPolicy adds to what the own cluster says about the WAN policy whether the exporters agree on it. What is wrong
// here comes first, because only that can be put right here.
func agreedPolicy(s ExportState, local metav1.Condition) metav1.Condition {
	c := s.Merged.PolicyConflict
	if local.Status != metav1.ConditionTrue || c == nil || !s.Merged.ExportedBy(s.ClusterID) {
		return local
	}
	return condition(v1alpha1.ConditionWANPolicy, metav1.ConditionFalse, string(c.Reason),
		fmt.Sprintf("%s Name the same policy and failover in all exports of the service.", c.Message), s.Generation)
}

// advertisedPorts are the ports of one export as a ServiceImport would list them.
func advertisedPorts(e v1alpha1.ServiceAdvertisementSpec) []mcsv1beta1.ServicePort {
	out := make([]mcsv1beta1.ServicePort, 0, len(e.Ports))
	for _, p := range e.Ports {
		out = append(out, servicePort(p))
	}
	return out
}
