// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/pkg/mcs"
)

// familyProblem is why this cluster cannot reach the exporters of a service at all: their gateways have addresses only of
// a family that this cluster does not have, judged by the addresses that it gives to its own Services (vips). The
// families of the pods behind do not matter, the gateways carry either to any. Nil while one side is not known.
func familyProblem(in LegInput, vips []string) *mcs.Problem {
	own, theirs := Families(vips), Families(in.Gateways)
	if len(own) == 0 || len(theirs) == 0 || slices.ContainsFunc(theirs, func(f corev1.IPFamily) bool { return slices.Contains(own, f) }) {
		return nil
	}
	return &mcs.Problem{Reason: string(mcsv1beta1.ServiceImportReasonIPFamilyNotSupported), Message: fmt.Sprintf(
		"The gateways of the exporting clusters have addresses of %s only, and this cluster has %s: give one of the two sides both families.",
		familyList(theirs), familyList(own))}
}

// inOneFamily are the addresses of the first of this cluster's families in which there are any. An address of another
// family leads to the same gateways once more, or nowhere. Where no family is in common, or the own ones are not known, all
// stay: what cannot be reached shows as such.
func inOneFamily(own []corev1.IPFamily, addresses []string) []string {
	for _, family := range own {
		if of := filter(addresses, func(a string) bool { return familyOf(a) == family }); len(of) > 0 {
			return of
		}
	}
	return addresses
}

// Families are the address families of addresses, sorted.
func Families(addresses []string) []corev1.IPFamily {
	out := familiesOf(addresses)
	slices.Sort(out)
	return slices.Compact(out)
}

func familyList(families []corev1.IPFamily) string {
	out := make([]string, 0, len(families))
	for _, f := range families {
		out = append(out, string(f))
	}
	return strings.Join(out, " and ")
}
