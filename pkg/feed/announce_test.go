// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

func announcement(change ...func(*v1alpha1.ClusterAdvertisementSpec)) string {
	spec := cardSpec(here, 5, 0)
	for _, f := range change {
		f(&spec)
	}
	data, _ := json.Marshal(feed.CardCopy(&spec))
	return string(data)
}

func TestAnnounce(t *testing.T) {
	rows := []struct {
		name    string
		body    string
		known   int64 // generation of the card in use; 0: none
		code    int
		message string
		used    int64
	}{
		{"the first card", announcement(), 0, 200, "in use", 5},
		{"a newer card", announcement(), 4, 200, "in use", 5},
		{"the same card", announcement(), 5, 200, "already", 5},
		{"an older card", announcement(), 6, 200, "already", 6},
		{"another cluster's card", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterID = "c3" }), 4, 422, "speaks only for itself", 4},
		{"our own card", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterID = there }), 4, 422, "speaks only for itself", 4},
		{"other identities", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.Identities = identities("c3") }), 4, 422, "mcwanctl card", 4},
		{"another uid", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterUID = "new" }), 4, 409, "another clusterUID", 4},
		{"a ClusterIP", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.Addresses = []string{"10.96.0.1"} }), 4, 422, "ClusterIP of this cluster", 4},
		{"a link-local address", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.Addresses = []string{"169.254.169.254"} }), 4, 422, "link-local", 4},
		{"an advertisement", `{"kind":"ServiceAdvertisement","spec":{}}`, 4, 400, "ClusterAdvertisement", 4},
		{"no JSON", "x", 4, 400, "ClusterAdvertisement", 4},
		{"wrong types", `{"kind":"ClusterAdvertisement","spec":{"generation":"x"}}`, 4, 400, "generation", 4},
		{"no spec", `{"kind":"ClusterAdvertisement"}`, 4, 400, "spec", 4},
		{"too big", `{"kind":"` + strings.Repeat("x", 3<<20) + `"}`, 4, 413, "2097152 bytes", 4},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cards := newMemorySink()
			if row.known > 0 {
				known := cardSpec(here, row.known, 0)
				cards.cards[here] = feed.CardCopy(&known)
			}
			server, err := feed.NewServer(feed.ServerOptions{
				ClusterID: there, API: &rest.Config{Host: "http://127.0.0.1:1"}, Cards: cards,
				Peers:      func(id string) (v1alpha1.PeerSpec, bool) { return peerSpec(here), id == identities(here).Egress },
				OwnAddress: isClusterIP,
			})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, "/announce", bytes.NewBufferString(row.body))
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
			r.Header.Set(v1alpha1.HeaderPeer, identities(here).Egress)
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			if w.Code != row.code || !strings.Contains(w.Body.String(), row.message) {
				t.Errorf("%d %s, want %d with %q", w.Code, w.Body, row.code, row.message)
			}
			got := int64(0)
			if c := cards.cards[here]; c != nil {
				got = c.Spec.Generation
			}
			if got != row.used || len(cards.cards) > 1 {
				t.Errorf("generation %d in use, want %d", got, row.used)
			}
		})
	}
}

func TestAnnounceNeedsJSONAndACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{})
		r := s.request(t.Context(), http.MethodPost, "/announce", announcement())
		r.Header.Set("Content-Type", "text/plain")
		if code, body, _ := s.do(r); code != http.StatusUnsupportedMediaType {
			t.Errorf("%d %s", code, body)
		}
		r = s.request(t.Context(), http.MethodPost, "/announce", announcement())
		r.Header.Set(v1alpha1.HeaderPeer, identities("c9").Egress)
		if code, body, _ := s.do(r); code != http.StatusForbidden {
			t.Errorf("%d %s", code, body)
		}
		if len(s.cards.cards) != 0 {
			t.Errorf("cards %v", s.cards.cards)
		}
	})
}
