// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// verdict is the outcome of one check: a reason to be told, or nothing. One that refuses makes the object unusable; one
// that does not is worth a look.
type verdict struct {
	reason  string
	message string
	refuses bool
}

func (v verdict) silent() bool { return v.reason == "" }

// condition is a verdict as a condition, without time. One that only warns leaves the condition True, with its reason.
func (v verdict) condition(conditionType string, generation int64, fine, fineMessage string) metav1.Condition {
	c := metav1.Condition{
		Type: conditionType, Status: metav1.ConditionTrue, Reason: fine, Message: fineMessage, ObservedGeneration: generation,
	}
	if !v.silent() {
		c.Reason, c.Message = v.reason, v.message
	}
	if v.refuses {
		c.Status = metav1.ConditionFalse
	}
	return c
}

// oldestFirst orders objects by creation time, then name: who comes first keeps what two claim.
func oldestFirst[T any](in []T, meta func(*T) *metav1.ObjectMeta) []T {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b T) int {
		x, y := meta(&a), meta(&b)
		return cmp.Or(x.CreationTimestamp.Compare(y.CreationTimestamp.Time), cmp.Compare(x.Name, y.Name))
	})
	return out
}

func policyMeta(p *v1alpha1.WANPolicy) *metav1.ObjectMeta { return &p.ObjectMeta }

func peerMeta(p *v1alpha1.Peer) *metav1.ObjectMeta { return &p.ObjectMeta }
