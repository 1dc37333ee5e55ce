// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// A method that is not known is never repeated, and the owner is told; the export itself stands, as it can be called.
func TestIdempotentMethodsOfAnExport(t *testing.T) {
	for text, want := range map[string]struct {
		methods []string
		says    string
	}{
		"":                {},
		"PUT":             {methods: []string{"PUT"}},
		" PUT,DELETE ":    {methods: []string{"DELETE", "PUT"}},
		"PUT DELETE, PUT": {methods: []string{"DELETE", "PUT"}},
		"PUT, POST":       {[]string{"PUT"}, `takes DELETE and PUT, separated by commas, so left out of it: "POST".`},
		"PUT\n":           {methods: []string{"PUT"}},
		"put":             {nil, `left out of it: "put"`},
	} {
		in := payment(annotated("sd-wan-priority-high"))
		in.Export.Annotations[v1alpha1.AnnotationIdempotent] = text
		out := Advertise(in)
		if out.Advertisement == nil || !slices.Equal(out.Advertisement.IdempotentMethods, want.methods) {
			t.Errorf("%q: advertised %+v", text, out.Advertisement)
			continue
		}
		valid := meta.FindStatusCondition(out.Conditions, string(mcsv1beta1.ServiceExportConditionValid))
		if told := strings.Contains(valid.Message, v1alpha1.AnnotationIdempotent); told != (want.says != "") || !strings.Contains(valid.Message, want.says) {
			t.Errorf("%q: %s", text, valid.Message)
		}
		if err := mcs.Validate(*out.Advertisement); err != nil {
			t.Errorf("%q: what is advertised is refused: %v", text, err)
		}
	}
}
