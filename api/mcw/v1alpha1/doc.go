// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds of the group mcw.l7mp.io: what the operator of a fleet writes (WANPolicy, Peer)
// and what clusters tell each other (ServiceAdvertisement, ClusterAdvertisement).
//
// +kubebuilder:object:generate=true
// +groupName=mcw.l7mp.io
package v1alpha1
