// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func TestFailoverOfAnExport(t *testing.T) {
	for text, want := range map[string]struct {
		advertised, reason, says string
	}{
		"":                                     {"", v1alpha1.ReasonResolved, ""},
		"Strict":                               {"Strict", v1alpha1.ReasonResolved, "Failover Strict"},
		"Automatic":                            {"Automatic", v1alpha1.ReasonResolved, "Failover Automatic"},
		"Ordered: internet":                    {"Ordered:internet", v1alpha1.ReasonResolved, "Failover Ordered:internet"},
		" Ordered:internet , gone ":            {"Ordered:internet,gone", v1alpha1.ReasonUnknownFailover, `"gone"`},
		"strict":                               {"held back", v1alpha1.ReasonInvalidFailover, `"strict" is no failover`},
		"Strict: internet":                     {"held back", v1alpha1.ReasonInvalidFailover, "is no failover"},
		"Ordered":                              {"held back", v1alpha1.ReasonInvalidFailover, "is no failover"},
		"Ordered:":                             {"held back", v1alpha1.ReasonInvalidFailover, "no name of a WANPolicy"},
		"Ordered: internet,internet":           {"held back", v1alpha1.ReasonInvalidFailover, "twice"},
		"Ordered: " + strings.Repeat("a,", 20): {"held back", v1alpha1.ReasonInvalidFailover, "twice"},
	} {
		in := payment(annotated("sd-wan-priority-high"))
		in.Export.Annotations[v1alpha1.AnnotationFailover] = text
		out := Advertise(in)
		got := "held back"
		if out.Advertisement != nil {
			got = FailoverText(out.Advertisement.Failover)
		}
		c := meta.FindStatusCondition(out.Conditions, v1alpha1.ConditionWANPolicy)
		if got != want.advertised || c.Reason != want.reason || !strings.Contains(c.Message, want.says) {
			t.Errorf("%q: advertised %q, condition %+v", text, got, c)
		}
		if (c.Status == metav1.ConditionTrue) != (want.reason == v1alpha1.ReasonResolved) {
			t.Errorf("%q: %s is %s", text, c.Reason, c.Status)
		}
	}
}
