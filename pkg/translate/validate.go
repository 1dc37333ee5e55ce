// SPDX-License-Identifier: Apache-2.0

package translate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// ValidatePolicies is the verdict on each WANPolicy by name: its Ready condition, without time.
func ValidatePolicies(policies []v1alpha1.WANPolicy) map[string]metav1.Condition { return nil }

// UsablePolicies are the policies that ValidatePolicies finds ready, by name: those on whose ports this cluster receives.
func UsablePolicies(policies []v1alpha1.WANPolicy) []v1alpha1.WANPolicy { return nil }

// ValidatePeers is the verdict on each Peer by name: its Accepted condition, without time.
func ValidatePeers(self Cluster, peers []v1alpha1.Peer) map[string]metav1.Condition { return nil }

// AcceptedPeers are the peers that ValidatePeers accepts, by name.
func AcceptedPeers(self Cluster, peers []v1alpha1.Peer) []v1alpha1.Peer { return nil }
