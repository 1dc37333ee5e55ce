// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const spiffeScheme = "spiffe://"

// Identity is the SPIFFE id that Istio gives to a service account of mc-wan.
func Identity(trustDomain, serviceAccount string) string {
	return spiffeScheme + trustDomain + "/ns/" + v1alpha1.Namespace + "/sa/" + serviceAccount
}

// TrustDomainOf is the trust domain of a SPIFFE id; empty when it is none.
func TrustDomainOf(identity string) string {
	rest, ok := strings.CutPrefix(identity, spiffeScheme)
	if !ok {
		return ""
	}
	domain, _, _ := strings.Cut(rest, "/")
	return domain
}

// principal is a SPIFFE id as AuthorizationPolicies write it.
func principal(identity string) string { return strings.TrimPrefix(identity, spiffeScheme) }
