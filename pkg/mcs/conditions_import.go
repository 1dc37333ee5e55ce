// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// ImportConditionTypes are the condition types that we own on a ServiceImport. One that ImportConditions does not return
// has to be removed.
func ImportConditionTypes() []string {
	return []string{string(mcsv1beta1.ServiceImportConditionReady), v1alpha1.ConditionPortsCarried}
}

// ImportState is what is known of one ServiceImport.
type ImportState struct {
	// Generation is the ServiceImport's metadata.generation, for observedGeneration.
	Generation int64
	Merged     Merged
	// IPs are the ClusterSetIPs, empty while the derived Service has none.
	IPs []string
	// FamilyUnsupported says that the cluster supports none of the service's IP families.
	FamilyUnsupported bool
	// Problem, if set, is why the service cannot be used here (such as v1alpha1.ReasonOutOfPorts); it makes Ready False.
	Problem *Problem
}

// Problem is a reason of Ready=False that KEP-1645 has no word for.
type Problem struct {
	// Reason is a stable CamelCase word.
	Reason string
	// Message says what to do.
	Message string
}

// ImportConditions are the conditions of a ServiceImport: Ready and, while somebody exports the service,
// mcw.l7mp.io/PortsCarried. They have no lastTransitionTime; SetConditions keeps or sets it.
func ImportConditions(s ImportState) []metav1.Condition {
	out := []metav1.Condition{importReady(s)}
	if s.Merged.Exported() {
		out = append(out, PortsCarried(s.Merged.ServicePorts(), s.Generation))
	}
	return out
}

func importReady(s ImportState) metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return condition(string(mcsv1beta1.ServiceImportConditionReady), metav1.ConditionFalse, reason, message, s.Generation)
	}
	switch {
	case !s.Merged.Exported():
		return no(string(mcsv1beta1.ServiceImportReasonPending), "No cluster that can be read exports the service.")
	case s.Problem != nil:
		return no(s.Problem.Reason, s.Problem.Message)
	case s.FamilyUnsupported:
		return no(string(mcsv1beta1.ServiceImportReasonIPFamilyNotSupported), "This cluster supports none of the service's IP families.")
	case noneCarried(s.Merged.ServicePorts()):
		return no(v1alpha1.ReasonUnsupportedProtocol, "No port of the service can be carried: the gateways carry TCP only.")
	case s.Merged.Type == mcsv1beta1.ClusterSetIP && len(s.IPs) == 0:
		return no(string(mcsv1beta1.ServiceImportReasonPending), "The service has no ClusterSetIP yet.")
	}
	return condition(string(mcsv1beta1.ServiceImportConditionReady), metav1.ConditionTrue,
		string(mcsv1beta1.ServiceImportReasonReady), "The service can be used in this cluster.", s.Generation)
}
