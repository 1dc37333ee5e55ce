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
	own, theirs := familySet(vips), familySet(in.Gateways)
	if len(own) == 0 || len(theirs) == 0 || slices.ContainsFunc(theirs, func(f corev1.IPFamily) bool { return slices.Contains(own, f) }) {
		return nil
	}
	return &mcs.Problem{Reason: string(mcsv1beta1.ServiceImportReasonIPFamilyNotSupported), Message: fmt.Sprintf(
		"The gateways of the exporting clusters have addresses of %s only, and this cluster has %s: give one of the two sides both families.",
		familyList(theirs), familyList(own))}
}

// familySet are the address families that occur, sorted.
func familySet(addresses []string) []corev1.IPFamily {
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
