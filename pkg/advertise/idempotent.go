// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"fmt"
	"slices"
	"strings"
)

// OwnersIdempotent are the methods that may be repeated where the owner of a service says so. By RFC 9110, section 9.2.2,
// they are idempotent, and there are services in which they are not.
func OwnersIdempotent() []string { return []string{"DELETE", "PUT"} }

// idempotentMethods reads the annotation of a ServiceExport that names methods, separated by commas: those that may be
// repeated, sorted, and what is left out.
func idempotentMethods(text string) (methods, leftOut []string) {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		switch {
		case !slices.Contains(OwnersIdempotent(), word):
			leftOut = append(leftOut, word)
		case !slices.Contains(methods, word):
			methods = append(methods, word)
		}
	}
	slices.Sort(methods)
	return methods, leftOut
}

// CheckIdempotent says why methods that somebody else calls idempotent cannot be acted on.
func CheckIdempotent(methods []string) error {
	for i, m := range methods {
		if slices.Contains(methods[:i], m) {
			return fmt.Errorf("idempotentMethods: %s is named twice", quoted(m))
		}
		if !slices.Contains(OwnersIdempotent(), m) {
			return fmt.Errorf("idempotentMethods: %s is not one of %s", quoted(m), strings.Join(OwnersIdempotent(), ", "))
		}
	}
	return nil
}
