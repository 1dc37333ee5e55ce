// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// What the owner denies at every ingress gateway is denied, also where a part of the consumer's requests is lost before.
func TestOwnerDeniesWhatArrives(t *testing.T) {
	base := string(read(t, "../translate/testdata/l7-owner-allows/in.yaml"))
	const ref = "      - name: payment-secure-sd-wan-priority-low\n"
	at := strings.LastIndex(base, ref)
	lost := base[:at] + ref + "        namespace: mc-wan\n      - name: payment-secure-no-such-policy\n" + base[at+len(ref):]
	for name, tc := range map[string]struct {
		text, path string
		verdict    Verdict
		statuses   []int
	}{
		"allowed":                  {base, "/stats", Forwarded, []int{0}},
		"denied":                   {base, "/other", Denied, []int{403}},
		"allowed, some is lost":    {lost, "/stats", Forwarded, []int{0, 503}},
		"the rest of it is denied": {lost, "/other", Denied, []int{403, 503}},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := snapshot.Read(snapshot.Options{ClusterID: "cluster-1", DummyServices: true}, snapshot.File{Name: "in.yaml", Data: []byte(tc.text)})
			if err != nil {
				t.Fatal(err)
			}
			a, err := Explain(state, Mesh{}, Question{Service: "payment/secure", Path: tc.path})
			if err != nil {
				t.Fatal(err)
			}
			var statuses []int
			for _, r := range a.Routes {
				statuses = append(statuses, r.Status)
			}
			if a.Verdict != tc.verdict || !slices.Equal(statuses, tc.statuses) {
				t.Errorf("%s, %v (%s), want %s, %v", a.Verdict, statuses, a.Reason, tc.verdict, tc.statuses)
			}
		})
	}
}
