// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// cardByHand is a card that a person wrote.
func cardByHand(id, address string) string {
	return strings.NewReplacer("@", id, "ADDRESS", address).Replace(`apiVersion: mcw.l7mp.io/v1alpha1
kind: ClusterAdvertisement
metadata: {name: "manual-@", namespace: mc-wan, labels: {mcw.l7mp.io/source-cluster: "@", mcw.l7mp.io/manual: "true"}}
spec:
  clusterID: "@"
  clusterUID: ""
  generation: 1
  identities: {egress: "spiffe://td-@/ns/mc-wan/sa/mcw-egress", ingress: "spiffe://td-@/ns/mc-wan/sa/mcw-ingress"}
  addresses: [ADDRESS]
  policies: [{name: high, port: 31111}]
  advertisements: 0
---
`)
}

func TestWrittenByHand(t *testing.T) {
	const manual = `, mcw.l7mp.io/manual: "true"`
	hand := func(id, rest string) string { return advertised(id, from(id)+manual, rest) }
	for name, tc := range map[string]struct {
		text string
		want string // reason, and a word of the message
	}{
		"good":              {hand("c9", "") + cardByHand("c9", "10.9.0.1"), ""},
		"not by hand":       {joined("c2", "") + advertised("c2", from("c2"), ""), ""},
		"own id":            {hand("c1", "") + cardByHand("c1", "10.9.0.1"), v1alpha1.RefusedCluster + " this cluster"},
		"joined id":         {joined("c2", "") + hand("c2", "") + cardByHand("c2", "10.9.0.1"), v1alpha1.RefusedCluster + " has joined"},
		"label and content": {advertised("c9", from("c8")+manual, ""), v1alpha1.RefusedCluster + " label"},
		"not valid":         {hand("c9", "  sessionAffinity: Cookie") + cardByHand("c9", "10.9.0.1"), v1alpha1.RefusedBounds + " sessionAffinity"},
		"rules":             {hand("c9", "  rules: {http: {rules: []}}") + cardByHand("c9", "10.9.0.1"), v1alpha1.RefusedBounds + " http.rules"},
		"failover":          {hand("c9", "  failover: {mode: Sometimes}") + cardByHand("c9", "10.9.0.1"), v1alpha1.RefusedBounds + " failover"},
		"nowhere":           {hand("c9", ""), v1alpha1.RefusedAddress + " no hand-written"},
		"loopback":          {hand("c9", "") + cardByHand("c9", "127.0.0.1"), v1alpha1.RefusedAddress + " loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			got := WrittenByHand(mustRead(t, file(tc.text)), secure("payment"))
			if name == "not by hand" {
				if len(got) > 0 {
					t.Errorf("got %+v", got)
				}
				return
			}
			if len(got) != 1 || (got[0].Refusal != nil) != (tc.want != "") {
				t.Fatalf("refused %+v, want %q", got, tc.want)
			}
			if c := got[0].Accepted(); (c.Status == metav1.ConditionTrue) != (tc.want == "") || c.Reason == "" || c.Message == "" {
				t.Errorf("condition %+v", c)
			}
			if tc.want == "" {
				return
			}
			reason, word, _ := strings.Cut(tc.want, " ")
			if r := got[0].Refusal; r.Reason != reason || !strings.Contains(r.Message, word) || r.Name != "secure/payment" {
				t.Errorf("refused %+v, want %q", r, tc.want)
			}
		})
	}
}

// What a person writes never takes the place of what a cluster says of itself.
func TestCardsByHandStandBehind(t *testing.T) {
	own := strings.ReplaceAll(cardByHand("c1", "10.1.0.1"), `, mcw.l7mp.io/manual: "true"`, "")
	text := cardByHand("c1", "10.9.0.1") + own + joined("c2", "") + cardByHand("c2", "10.9.0.2") + cardByHand("c9", "10.9.0.9")
	var got []string
	for _, c := range Cards(mustRead(t, file(text))) {
		got = append(got, fmt.Sprint(c.ClusterID, c.Addresses))
	}
	if want := "c1[10.1.0.1] c2[10.2.0.1] c9[10.9.0.9]"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
