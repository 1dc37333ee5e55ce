// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func says(code int, contentType, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func blackHole(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

// listSays answers lists of either kind, and ends watches so that lists are asked for.
func listSays(rest string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		const json = "application/json"
		switch version := r.URL.Query().Get("resourceVersion"); {
		case r.URL.Query().Get("watch") == "":
			kind := kindOf(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
			return says(200, json, `{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"`+kind+`List",`+rest+`}`)(w, r)
		case version != "1":
			return says(200, json, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}`)(w, r)
		}
		w.Header().Set("Content-Type", json)
		w.(http.Flusher).Flush()
		return blackHole(w, r)
	}
}

// broken is a way in which a feed can be unreadable.
type broken struct {
	name    string
	breaks  func(w *world)
	reason  string
	message string
	heals   func(w *world) // besides taking away what was put in between
}

func between(f func(http.ResponseWriter, *http.Request) bool) func(*world) {
	return func(w *world) { w.between(f) }
}

func waysToBreak() []broken {
	const json = "application/json"
	healCard := func(w *world) { w.card(9, 2) }
	return []broken{
		{"turned away by the ingress", between(says(403, "text/plain", "RBAC: access denied")), v1alpha1.ReasonRefused, "mcwanctl card", nil},
		{"no longer joined over there", func(w *world) { w.mu.Lock(); defer w.mu.Unlock(); clear(w.peers) }, v1alpha1.ReasonRefused, "mcwanctl card",
			func(w *world) { w.mu.Lock(); defer w.mu.Unlock(); w.peers[identities(here).Egress] = peerSpec(here) }},
		{"another identity answers", between(says(503, "text/plain", "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: SAN matcher, certificate SANs are [spiffe://td-2/ns/mc-wan/sa/mcw-ingress]:TLS_error_end")), v1alpha1.ReasonIdentityMismatch, "spec.identities.ingress", nil},
		{"no healthy upstream", between(says(503, "text/plain", "no healthy upstream")), v1alpha1.ReasonUnreachable, "check the SD-WAN", nil},
		{"upstream timeout", between(says(504, "text/plain", "upstream request timeout")), v1alpha1.ReasonUnreachable, "check the SD-WAN", nil},
		{"black hole", between(blackHole), v1alpha1.ReasonUnreachable, "check the SD-WAN", nil},
		{"connections that break", between(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }), v1alpha1.ReasonUnreachable, "check the SD-WAN", nil},
		{"no route at the egress", between(says(404, "text/plain", "")), v1alpha1.ReasonUnreachable, "no route", nil},
		{"asked too often", between(says(429, "text/plain", "local_rate_limited")), v1alpha1.ReasonUnreachable, "too often", nil},
		{"redirected", between(func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
			return true
		}), v1alpha1.ReasonUnreadable, "302", nil},
		{"garbled", between(says(200, json, `{"kind":"Serv`)), v1alpha1.ReasonUnreadable, "decoded", nil},
		{"a web page", between(says(200, "text/html", "<html>")), v1alpha1.ReasonUnreadable, "JSON", nil},
		{"YAML", between(says(200, "application/yaml", "a: b")), v1alpha1.ReasonUnreadable, "JSON", nil},
		{"no list", between(says(200, json, `{"apiVersion":"v1","kind":"Status","status":"Success"}`)), v1alpha1.ReasonUnreadable, "decoded", nil},
		{"items of another type", between(says(200, json, `{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisementList","items":"none"}`)), v1alpha1.ReasonUnreadable, "decoded", nil},
		{"another version", between(says(404, json, `{"kind":"Status","apiVersion":"v1","code":404}`)), v1alpha1.ReasonUnreadable, "versions", nil},
		{"its API server is down", func(w *world) { w.api.set(func(a *fakeAPI) { a.broken = 500 }) }, v1alpha1.ReasonUnreachable, "cannot read its API server",
			func(w *world) { w.api.set(func(a *fakeAPI) { a.broken = 0 }) }},
		{"its API server refuses its controller", func(w *world) { w.api.set(func(a *fakeAPI) { a.broken = 403 }) }, v1alpha1.ReasonUnreachable, "cannot read its API server",
			func(w *world) { w.api.set(func(a *fakeAPI) { a.broken = 0 }) }},
		{"an answer too big", between(says(200, json, `{"kind":"`+strings.Repeat("x", 65<<10))), v1alpha1.ReasonUnreadable, "more than 65536 bytes", nil},
		{"empty pages for ever", between(listSays(`"metadata":{"continue":"more"},"items":[]`)), v1alpha1.ReasonUnreadable, "empty pages", nil},
		{"empty lists", between(listSays(`"metadata":{"resourceVersion":"1"},"items":[]`)), v1alpha1.ReasonUnreadable, "does not contain the peer's card", nil},
		{"no card", func(w *world) { w.api.remove(cards, there) }, v1alpha1.ReasonUnreadable, "does not contain the peer's card", healCard},
		{"a card that counts more", func(w *world) { w.card(2, 7) }, v1alpha1.ReasonUnreadable, "do not agree", healCard},
		{"half a list", func(w *world) { w.api.lose(advertisements, named(there, "shop", "cart")) }, v1alpha1.ReasonUnreadable, "do not agree",
			func(w *world) { w.export("shop/cart") }},
		{"another cluster's card", func(w *world) {
			w.card(2, 2, func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterID = "c3" })
		}, v1alpha1.ReasonUnreadable, "speaks only for itself", healCard},
		{"a card with a loopback address", func(w *world) {
			w.card(2, 2, func(c *v1alpha1.ClusterAdvertisementSpec) { c.Addresses = []string{"127.0.0.1"} })
		}, v1alpha1.ReasonUnreadable, "loopback", healCard},
		{"a card with other identities", func(w *world) {
			w.card(2, 2, func(c *v1alpha1.ClusterAdvertisementSpec) { c.Identities = identities("c3") })
		}, v1alpha1.ReasonIdentityMismatch, "mcwanctl card", healCard},
		{"a card that is a number", func(w *world) { w.api.put(cards, there, there, 7) }, v1alpha1.ReasonUnreadable, "cannot be decoded", healCard},
		{"a card of wrong types", func(w *world) {
			w.api.put(cards, there, there, map[string]any{"clusterID": there, "generation": "many"})
		}, v1alpha1.ReasonUnreadable, "generation", healCard},
	}
}

// Unreadable is not empty (RATIONALE.md, "Why is an unreadable peer not an empty one?"): whatever happens to a feed, what is known of the peer stays as it is,
// the report says what is wrong, and the feed that returns is read again.
func TestUnreadableIsNotEmpty(t *testing.T) {
	for _, b := range waysToBreak() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "secure/payment", "shop/cart")
				w.start()
				w.wantReason(v1alpha1.ReasonSynced, "")
				b.breaks(w)
				w.wan.cut()
				after(30 * time.Second)
				w.wantReason(b.reason, b.message)
				before, reports := w.sink.written(), len(w.sink.reports[there])
				after(10 * time.Minute)
				w.wantNames("secure/payment", "shop/cart")
				w.wantReason(b.reason, b.message)
				if saidSo := b.name == "no longer joined over there"; w.sink.last(there).TurnedAway != saidSo {
					t.Errorf("turned away by the peer itself: %t", !saidSo)
				}
				if r := w.sink.last(there); !r.SyncedOnce || r.Counts.Accepted != 2 || r.Card == nil {
					t.Errorf("report %+v: what is known must stay known", r)
				}
				if now := w.sink.written(); now != before {
					t.Errorf("%d writes while the peer was unreadable", now-before)
				}
				if now := len(w.sink.reports[there]); now != reports {
					t.Errorf("%d more reports while nothing changed: %+v", now-reports, w.sink.reports[there][reports:])
				}
				w.between(nil)
				if b.heals != nil {
					b.heals(w)
				}
				w.wan.cut()
				after(20 * time.Second)
				w.wantReason(v1alpha1.ReasonSynced, "")
				w.wantNames("secure/payment", "shop/cart")
			})
		})
	}
}

// A peer that cannot be read when the controller starts is known by the copies of before.
func TestUnreadableFromTheStart(t *testing.T) {
	for _, b := range waysToBreak() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "secure/payment", "shop/cart")
				w.start()
				w.stop()
				b.breaks(w)
				w.start()
				after(30 * time.Second)
				before := w.sink.written()
				after(5 * time.Minute)
				w.wantNames("secure/payment", "shop/cart")
				w.wantReason(b.reason, b.message)
				if r := w.sink.last(there); r.SyncedOnce || r.Counts.Accepted != 2 {
					t.Errorf("report %+v: it has not been read", r)
				}
				if now := w.sink.written(); now != before {
					t.Errorf("%d writes while the peer was unreadable", now-before)
				}
			})
		})
	}
}

func TestPeerIsAskedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.between(says(503, "text/plain", "no healthy upstream"))
		w.start()
		after(time.Second)
		soon := w.requests()
		if soon < 6 {
			t.Errorf("%d attempts in the first 2 s: a tunnel that comes back would be noticed late", soon)
		}
		after(time.Hour)
		if late := w.requests() - soon; late > 2*3600/5 {
			t.Errorf("%d attempts in an hour", late)
		}
	})
}

func TestReportsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.start()
		after(24 * time.Hour) // watches end about every ten minutes
		if got := fmt.Sprint(len(w.sink.reports[there])); got > "3" {
			t.Errorf("%s reports of a feed that was fine all day: %+v", got, w.sink.reports[there])
		}
		if lists := w.api.count("limit="); lists > 2 {
			t.Errorf("%d lists: a watch that ends well is gone on with, without a list", lists)
		}
	})
}
