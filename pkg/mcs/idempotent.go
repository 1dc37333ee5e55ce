// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Bounds on the methods that an export calls idempotent: more than there are, for those of later versions.
const (
	maxMethods      = 16
	maxMethodLength = 16
)

var methodName = regexp.MustCompile(`^[A-Z]+$`)

// IdempotentMethods are the methods that are repeated where the owner of a service says that it may get them twice. By RFC
// 9110, section 9.2.2, they are idempotent, and there are services in which they are not.
func IdempotentMethods() []string { return []string{"DELETE", "PUT"} }

// ParseIdempotent reads the annotation of a ServiceExport that names methods, separated by commas: those that may be
// repeated, sorted, and what is left out.
func ParseIdempotent(text string) (methods, leftOut []string) {
	for _, word := range strings.Fields(strings.ReplaceAll(text, ",", " ")) {
		switch {
		case !slices.Contains(IdempotentMethods(), word):
			leftOut = append(leftOut, word)
		case !slices.Contains(methods, word):
			methods = append(methods, word)
		}
	}
	slices.Sort(methods)
	return methods, leftOut
}

// CheckIdempotent says why methods that an export calls idempotent cannot be acted on; errors name the field. It takes
// methods that this version does not know: they are not repeated, which is always safe.
func CheckIdempotent(methods []string) error {
	if len(methods) > maxMethods {
		return fmt.Errorf("idempotentMethods: %d, at most %d are possible", len(methods), maxMethods)
	}
	for i, m := range methods {
		switch {
		case len(m) > maxMethodLength || !methodName.MatchString(m):
			return fmt.Errorf("idempotentMethods: %.80q is no method", m)
		case slices.Contains(methods[:i], m):
			return fmt.Errorf("idempotentMethods: %s is named twice", m)
		}
	}
	return nil
}

// mergeIdempotent takes the methods that all exports name. It cannot conflict.
func mergeIdempotent(exports []v1alpha1.ServiceAdvertisementSpec, m *Merged) {
	for _, method := range IdempotentMethods() {
		var without []string
		for _, e := range exports {
			if !slices.Contains(e.IdempotentMethods, method) {
				without = append(without, e.ClusterID)
			}
		}
		switch len(without) {
		case 0:
			m.Idempotent = append(m.Idempotent, method)
		case len(exports):
		default:
			slices.Sort(without)
			m.Unrepeated = append(m.Unrepeated, Unrepeated{Method: method, Clusters: without})
		}
	}
}
