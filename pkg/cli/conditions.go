// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// conditionState says whether a condition holds of this generation of its object, and its reason and message as text;
// reason Ready speaks for itself. One that is missing, or about an earlier generation, does not hold.
func conditionState(conditions []metav1.Condition, kind string, generation int64) (ok bool, text string) {
	condition := current(conditions, kind, generation)
	if condition == nil {
		return false, "the controller has not looked at it yet"
	}
	text = condition.Reason
	if condition.Message != "" && condition.Reason != v1alpha1.ReasonReady {
		text += ": " + condition.Message
	}
	return condition.Status == metav1.ConditionTrue, text
}

// exportState says whether a ServiceExport is valid and ready, and if not, which of the two it is not and why.
func exportState(export *mcsv1beta1.ServiceExport) (ok bool, text string) {
	for _, kind := range []mcsv1beta1.ServiceExportConditionType{mcsv1beta1.ServiceExportConditionValid, mcsv1beta1.ServiceExportConditionReady} {
		if ok, text = conditionState(export.Status.Conditions, string(kind), export.Generation); !ok {
			return false, "not " + string(kind) + ": " + text
		}
	}
	return true, text
}

// importState says whether a ServiceImport is ready, and if not, why.
func importState(imported *mcsv1beta1.ServiceImport) (ok bool, text string) {
	const kind = string(mcsv1beta1.ServiceImportConditionReady)
	if ok, text = conditionState(imported.Status.Conditions, kind, imported.Generation); !ok {
		text = "not " + kind + ": " + text
	}
	return ok, text
}

// peerState is conditionState of a Peer's feed. A spec that was not accepted says more than a feed that therefore is not
// read.
func peerState(peer *v1alpha1.Peer) (ok bool, text string) {
	accepted := current(peer.Status.Conditions, v1alpha1.ConditionAccepted, peer.Generation)
	if accepted != nil && accepted.Status == metav1.ConditionFalse {
		return conditionState(peer.Status.Conditions, v1alpha1.ConditionAccepted, peer.Generation)
	}
	return conditionState(peer.Status.Conditions, v1alpha1.ConditionFeedReady, peer.Generation)
}

// turnsUsAway tells whether the peer answers that it has not joined this cluster.
func turnsUsAway(peer *v1alpha1.Peer) bool {
	feed := current(peer.Status.Conditions, v1alpha1.ConditionFeedReady, peer.Generation)
	return feed != nil && feed.Reason == v1alpha1.ReasonRefused
}

// current is the condition if it is about this generation; nil otherwise.
func current(conditions []metav1.Condition, kind string, generation int64) *metav1.Condition {
	condition := meta.FindStatusCondition(conditions, kind)
	if condition == nil || condition.ObservedGeneration < generation {
		return nil
	}
	return condition
}
