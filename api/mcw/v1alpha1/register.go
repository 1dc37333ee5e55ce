// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the kinds in this package.
const GroupName = "mcw.l7mp.io"

// Kinds of this group.
const (
	WANPolicyKind            = "WANPolicy"
	PeerKind                 = "Peer"
	ServiceAdvertisementKind = "ServiceAdvertisement"
	ClusterAdvertisementKind = "ClusterAdvertisement"
)

// GroupVersion returns the group and version of the kinds in this package.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}
}

// AddToScheme registers the kinds of this package in s.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(),
		&WANPolicy{}, &WANPolicyList{},
		&Peer{}, &PeerList{},
		&ServiceAdvertisement{}, &ServiceAdvertisementList{},
		&ClusterAdvertisement{}, &ClusterAdvertisementList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}
