// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

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
	// Conditions are Valid and, of a valid export, mcw.l7mp.io/PortsCarried and mcw.l7mp.io/WANPolicyResolved. They have
	// observedGeneration and no lastTransitionTime. Empty when there is no export.
	Conditions []metav1.Condition
}

// Advertise says what peers are told about an export. It leaves its input untouched, and the result shares no memory
// with it.
func Advertise(in Input) Result {
	return Result{}
}

// Drain is the last word about an export that is gone: what was advertised, now draining until the deadline. A previous
// advertisement that is already draining keeps its deadline.
func Drain(previous v1alpha1.ServiceAdvertisementSpec, deadline metav1.Time) v1alpha1.ServiceAdvertisementSpec {
	return previous
}

// DefaultPolicy is the policy of exports that name none: of those marked default the oldest, then the first by name.
func DefaultPolicy(policies []v1alpha1.WANPolicy) (v1alpha1.WANPolicy, bool) {
	return v1alpha1.WANPolicy{}, false
}
