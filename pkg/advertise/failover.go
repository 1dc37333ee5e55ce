// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// maxFailoverTo is how many policies an order may have: MaxItems of Failover.To.
const maxFailoverTo = 16

// ParseFailover reads a failover as the annotation of a ServiceExport has it: Automatic, Strict, or "Ordered:" and names of
// WANPolicies separated by commas. Empty is none: the policy's own holds. Errors are made to follow the annotation's name.
func ParseFailover(text string) (*v1alpha1.Failover, error) {
	mode, list, ordered := strings.Cut(strings.TrimSpace(text), ":")
	switch mode := v1alpha1.FailoverMode(strings.TrimSpace(mode)); {
	case text == "":
		return nil, nil
	case !ordered && (mode == v1alpha1.FailoverAutomatic || mode == v1alpha1.FailoverStrict):
		return &v1alpha1.Failover{Mode: mode}, nil
	case mode != v1alpha1.FailoverOrdered || !ordered:
		return nil, fmt.Errorf("%s is no failover; write Automatic, Strict, or Ordered: and WANPolicies by name, such as Ordered: low, backup", quoted(text))
	}
	out := &v1alpha1.Failover{Mode: v1alpha1.FailoverOrdered}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if len(validation.IsDNS1123Label(name)) != 0 {
			return nil, fmt.Errorf("%s is no name of a WANPolicy; separate names by commas", quoted(name))
		}
		if slices.Contains(out.To, name) {
			return nil, fmt.Errorf("%s is named twice", quoted(name))
		}
		out.To = append(out.To, name)
	}
	if len(out.To) > maxFailoverTo {
		return nil, fmt.Errorf("%d WANPolicies are named, at most %d are possible", len(out.To), maxFailoverTo)
	}
	return out, nil
}

// FailoverText is a failover as ParseFailover reads it, without spaces; empty for none.
func FailoverText(f *v1alpha1.Failover) string {
	switch {
	case f == nil:
		return ""
	case f.Mode == v1alpha1.FailoverOrdered:
		return string(f.Mode) + ":" + strings.Join(f.To, ",")
	default:
		return string(f.Mode)
	}
}

// CheckFailover says why a failover that somebody else states cannot be acted on; nil for none, and for what can be.
func CheckFailover(f *v1alpha1.Failover) error {
	if f == nil {
		return nil
	}
	if f.Mode == "" {
		return errors.New("failover.mode: there must be one")
	}
	if _, err := ParseFailover(FailoverText(f)); err != nil {
		return fmt.Errorf("failover %w", err)
	}
	return nil
}
