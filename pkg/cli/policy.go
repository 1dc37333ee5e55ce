// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// policies lists the WANPolicies by name.
func policies(ctx context.Context, c Access) ([]v1alpha1.WANPolicy, error) {
	var list v1alpha1.WANPolicyList
	if err := c.List(ctx, &list); err != nil {
		return nil, c.explain("listing WANPolicies", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.WANPolicy) int { return cmp.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// findPolicy finds a policy by its name, or by an ending of it after a dash that no other policy has: "high" is
// "sd-wan-priority-high".
func findPolicy(all []v1alpha1.WANPolicy, want string) (v1alpha1.WANPolicy, error) {
	var ending []v1alpha1.WANPolicy
	for _, p := range all {
		if p.Name == want {
			return p, nil
		}
		if strings.HasSuffix(p.Name, "-"+want) {
			ending = append(ending, p)
		}
	}
	switch len(ending) {
	case 1:
		return ending[0], nil
	case 0:
		return v1alpha1.WANPolicy{}, fmt.Errorf("no WANPolicy is or ends in %q; there %s", want, areThere(names(all)))
	default:
		return v1alpha1.WANPolicy{}, fmt.Errorf("%q is the ending of several WANPolicies: %s; name one in full", want, strings.Join(names(ending), ", "))
	}
}

func names(all []v1alpha1.WANPolicy) []string {
	out := make([]string, 0, len(all))
	for _, p := range all {
		out = append(out, p.Name)
	}
	return out
}

func areThere(names []string) string {
	if len(names) == 0 {
		return "are none"
	}
	return "are: " + strings.Join(names, ", ")
}
