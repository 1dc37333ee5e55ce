// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// ImportState is what is known of one ServiceImport.
type ImportState struct {
	// Generation is the ServiceImport's metadata.generation, for observedGeneration.
	Generation int64
	Merged     Merged
	// IPs are the ClusterSetIPs, empty while the derived Service has none.
	IPs []string
	// Problem, if set, is why the service cannot be used here (such as v1alpha1.ReasonOutOfPorts, or KEP-1645's IPFamilyNotSupported); it makes Ready False.
	Problem *Problem
	// Dummies is what became of the dummy Services; nil where none are wanted.
	Dummies *Dummies
	// Rules are those that requests to the service follow here; nil where there are none.
	Rules *Rules
}

// Rules say whose rules hold for an import, in the words of a condition.
type Rules struct {
	Reason, Message string
	// Fails says that some of them answer with an error; Reason and Message say why.
	Fails bool
}

// Dummies are the dummy Services of an import.
type Dummies struct {
	// Names are those that there are.
	Names []string
	// Problem is why one is missing; nil when none is.
	Problem *Problem
}

// Problem is a reason of a condition being False that KEP-1645 has no word for.
type Problem struct {
	// Reason is a stable CamelCase word.
	Reason string
	// Message says what to do.
	Message string
}

// ImportConditions are the conditions of a ServiceImport: Ready and, while somebody exports the service,
// mcw.l7mp.io/PortsCarried and, where there are rules, mcw.l7mp.io/Rules and, where they are wanted, mcw.l7mp.io/DummyServices.
// They have no lastTransitionTime: who applies them keeps it or sets it (apply.Applier.ApplyStatus).
func ImportConditions(s ImportState) []metav1.Condition {
	out := []metav1.Condition{importReady(s)}
	if s.Merged.Exported() {
		out = append(out, PortsCarried(s.Merged.ServicePorts(), s.Generation))
	}
	if s.Merged.Exported() && s.Rules != nil {
		status := metav1.ConditionTrue
		if s.Rules.Fails {
			status = metav1.ConditionFalse
		}
		out = append(out, condition(v1alpha1.ConditionRules, status, s.Rules.Reason, s.Rules.Message, s.Generation))
	}
	if s.Merged.Exported() && s.Dummies != nil {
		out = append(out, dummyServices(*s.Dummies, s.Generation))
	}
	return out
}

func dummyServices(d Dummies, generation int64) metav1.Condition {
	if d.Problem != nil {
		return condition(v1alpha1.ConditionDummyServices, metav1.ConditionFalse, d.Problem.Reason, d.Problem.Message, generation)
	}
	message := "No exporting cluster offers a WAN policy."
	if len(d.Names) > 0 {
		message = "In namespace " + v1alpha1.Namespace + ": " + strings.Join(d.Names, ", ") + "."
	}
	return condition(v1alpha1.ConditionDummyServices, metav1.ConditionTrue, v1alpha1.ReasonDummiesReady, message, generation)
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
	}
	reason, message := NoneCarried(s.Merged.ServicePorts())
	switch {
	case reason != "":
		return no(reason, message)
	case s.Merged.Type == mcsv1beta1.ClusterSetIP && len(s.IPs) == 0:
		return no(string(mcsv1beta1.ServiceImportReasonPending), "The service has no ClusterSetIP yet.")
	}
	return condition(string(mcsv1beta1.ServiceImportConditionReady), metav1.ConditionTrue,
		string(mcsv1beta1.ServiceImportReasonReady), "The service can be used in this cluster.", s.Generation)
}
