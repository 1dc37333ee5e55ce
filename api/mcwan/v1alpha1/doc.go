// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds of the group mc-wan.l7mp.io: which tunnel a request takes, said by what is in the
// request. Matches, filters and timeouts are those of the Gateway API's HTTPRoute.
//
// +kubebuilder:object:generate=true
// +groupName=mc-wan.l7mp.io
package v1alpha1
