// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// dummyNamed finds the import and the dummy Service of it that has the name; nil if there is none. Names are made of
// three that may have dashes themselves, so every way to read it is tried.
func dummyNamed(l snapshot.Lister, name string) (types.NamespacedName, *translate.Dummy) {
	for _, p := range l.Policies() {
		rest, ok := strings.CutSuffix(name, "-"+p.Name)
		for i := range len(rest) {
			if !ok || rest[i] != '-' {
				continue
			}
			key := types.NamespacedName{Name: rest[:i], Namespace: rest[i+1:]}
			dummies := snapshot.Dummies(l, key, snapshot.ImportInput(l, key).Merged)
			at := slices.IndexFunc(dummies, func(d translate.Dummy) bool { return d.Policy == p.Name && d.Problem == nil })
			if at >= 0 {
				return key, &dummies[at]
			}
		}
	}
	return types.NamespacedName{}, nil
}

// over is the WAN policy that traffic takes, and why: that of the dummy Service that is asked about, or the export's.
func (e *explanation) over(otherwise string) (policy, reason string) {
	if e.dummy == nil {
		return translate.ResolvePolicy(e.in.Merged.WANPolicy, e.in.Policies), otherwise
	}
	return e.dummy.Policy, fmt.Sprintf("Service %s/%s stands for the WANPolicy", v1alpha1.Namespace, e.dummyName())
}

func (e *explanation) dummyName() string {
	return translate.DummyServiceName(e.key.Namespace, e.key.Name, e.dummy.Policy)
}
