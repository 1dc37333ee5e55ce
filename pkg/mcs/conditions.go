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

// ExportConditionTypes are the condition types that we own on a ServiceExport. One that ExportConditions does not return
// has to be removed.
func ExportConditionTypes() []string {
	return []string{
		string(mcsv1beta1.ServiceExportConditionValid),
		string(mcsv1beta1.ServiceExportConditionReady),
		string(mcsv1beta1.ServiceExportConditionConflict),
		v1alpha1.ConditionPortsCarried,
		v1alpha1.ConditionWANPolicy,
	}
}

// ImportConditionTypes are the condition types that we own on a ServiceImport. One that ImportConditions does not return
// has to be removed.
func ImportConditionTypes() []string {
	return []string{string(mcsv1beta1.ServiceImportConditionReady), v1alpha1.ConditionPortsCarried}
}

// ExportState is what is known of one ServiceExport of the own cluster.
type ExportState struct {
	// ClusterID is the own cluster.
	ClusterID string
	// Generation is the ServiceExport's metadata.generation, for observedGeneration.
	Generation int64
	// Local are the conditions that package advertise found.
	Local []metav1.Condition
	// Advertised says whether package advertise made an advertisement of the export.
	Advertised bool
	// Published says whether that advertisement stands where peers read it. False is Ready=False/Pending.
	Published bool
	// Merged is the merge of all clusters' exports of the name; the zero value while it is not known.
	Merged Merged
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

// ExportConditions are the conditions of a ServiceExport: Valid, Ready, Conflict, and the own ones. They have no
// lastTransitionTime; SetConditions keeps or sets it.
func ExportConditions(s ExportState) []metav1.Condition {
	return nil
}

// ImportConditions are the conditions of a ServiceImport: Ready and the own ones. They have no lastTransitionTime;
// SetConditions keeps or sets it.
func ImportConditions(s ImportState) []metav1.Condition {
	return nil
}

// SetConditions returns existing with the desired conditions set and those of the owned types that are not desired
// removed; others are left alone. A condition whose status stays keeps its lastTransitionTime, one that changes or is new
// gets now. Neither argument is changed.
func SetConditions(existing, desired []metav1.Condition, owned []string, now metav1.Time) []metav1.Condition {
	return nil
}

var _ = []any{fmt.Sprint, slices.Sort[[]int], strings.Join, meta.SetStatusCondition}
