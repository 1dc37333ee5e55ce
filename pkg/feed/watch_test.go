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

func isWatch(r *http.Request, resource string) bool {
	return r.URL.Query().Get("watch") == "true" && strings.HasSuffix(r.URL.Path, resource)
}

// watchSays answers watches of advertisements with what is given and leaves them open; all else passes.
func watchSays(text string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !isWatch(r, advertisements) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(text))
		w.(http.Flusher).Flush()
		return blackHole(w, r)
	}
}

// A watch that is cut is gone on with at once and from where it was: a tunnel that dies costs no list.
func TestWatchIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.start()
		after(10 * time.Second)
		lists := w.api.count("limit=")
		for i := range 5 {
			w.wan.cut()
			w.export(fmt.Sprintf("shop/s%d", i))
			w.card(int64(i+2), i+2)
			after(time.Second)
			if n := len(w.sink.names()); n != i+2 {
				t.Fatalf("%d copies a second after the cut, want %d", n, i+2)
			}
			after(time.Minute)
		}
		if now := w.api.count("limit="); now != lists {
			t.Errorf("%d lists for what the watch could have brought", now-lists)
		}
		for _, r := range w.sink.reports[there][1:] {
			if r.Reason != v1alpha1.ReasonSynced {
				t.Errorf("report %+v: the feed was never unreadable", r)
			}
		}
	})
}

// The tunnel is dead for a while: noticed at once, and read again within two seconds of its return. A long outage
// before does not make the next short one longer.
func TestTunnelReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.start()
		dies := func() {
			w.between(says(503, "text/plain", "no healthy upstream"))
			w.wan.cut()
			after(100 * time.Millisecond)
			w.wantReason(v1alpha1.ReasonUnreachable, "")
		}
		dies()
		after(10 * time.Minute)
		w.between(nil)
		after(time.Minute)
		w.wantReason(v1alpha1.ReasonSynced, "")
		dies()
		after(time.Second)
		w.between(nil)
		w.export("shop/cart")
		w.card(2, 2)
		after(2 * time.Second)
		w.wantReason(v1alpha1.ReasonSynced, "")
		w.wantNames("secure/payment", "shop/cart")
	})
}

// No event or bookmark for Timing.Silence ends a watch, and all is listed anew.
func TestWatchIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.between(watchSays(" \n \n"))
		w.start()
		w.wantReason(v1alpha1.ReasonSynced, "")
		w.export("shop/cart")
		w.card(2, 2)
		after(9 * time.Second)
		w.wantNames("secure/payment")
		after(115 * time.Second)
		w.wantNames("secure/payment", "shop/cart")
		w.wantReason(v1alpha1.ReasonSynced, "")
	})
}

// Bookmarks keep a watch alive on which nothing happens.
func TestBookmarksKeepAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.start()
		after(4 * time.Minute)
		if n := w.api.count("watch="); n != 2 {
			t.Errorf("%d watches in four quiet minutes, want the two of the start", n)
		}
	})
}

func TestWatchCannotBeRead(t *testing.T) {
	event := func(object string) string { return `{"type":"MODIFIED","object":` + object + "}\n" }
	const head = `{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisement","metadata":{"name":"x","resourceVersion":"500"}`
	rows := map[string]struct{ text, message string }{
		"garbled":             {"}{\n", "cannot be decoded"},
		"another kind":        {event(`{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ClusterAdvertisement","metadata":{"name":"x"}}`), "not of the kind"},
		"a foreign kind":      {event(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}`), "cannot be decoded"},
		"another type":        {`{"type":"STOLEN","object":` + head + "}}\n", "cannot be decoded"},
		"an object no object": {event(`"x"`), "cannot be decoded"},
		"no name":             {event(`{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisement","metadata":7}`), "not of the kind"},
		"too big":             {event(head + `,"spec":{"name":"` + strings.Repeat("x", 33<<10) + `"}}`), "an event of the peer's feed has more than 32768 bytes"},
		"too big in lines":    {`{"type":"MODIFIED",` + strings.Repeat("\n", 33<<10), "an event of the peer's feed has more than 32768 bytes"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "secure/payment", "shop/cart")
				w.start()
				w.between(watchSays(row.text))
				w.wan.cut()
				after(time.Minute)
				w.wantReason(v1alpha1.ReasonUnreadable, row.message)
				reports := len(w.sink.reports[there])
				after(10 * time.Minute)
				w.wantNames("secure/payment", "shop/cart")
				if now := len(w.sink.reports[there]); now != reports {
					t.Errorf("%d more reports: the peer seems to be readable between two attempts: %+v", now-reports, w.sink.reports[there][reports:])
				}
				w.between(nil)
				w.wan.cut()
				after(70 * time.Second)
				w.wantReason(v1alpha1.ReasonSynced, "")
			})
		})
	}
}

// Events, each of them fine, that are more than a minute's worth.
func TestTooMuchInAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.start()
		after(time.Minute)
		pad := map[string]string{"a": strings.Repeat("x", 10<<10)}
		for range 120 {
			w.export("secure/payment", func(s *v1alpha1.ServiceAdvertisementSpec) { s.ExportedAnnotations = pad })
		}
		after(5 * time.Second)
		w.wantReason(v1alpha1.ReasonUnreadable, "more than 1048576 bytes within a minute")
		w.wantNames("secure/payment")
		after(2 * time.Minute)
		w.wantReason(v1alpha1.ReasonSynced, "")
	})
}

// 410 Gone, at the start of a watch and in the middle of a list, means to begin anew and nothing else.
func TestCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := []string{"secure/payment"}
		for i := range 35 { // four pages
			services = append(services, fmt.Sprintf("shop/s%02d", i))
		}
		w := newWorld(t, services...)
		w.start()
		w.wantReason(v1alpha1.ReasonSynced, "")
		pages := 0
		w.between(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("continue") != "" {
				if pages++; pages == 2 {
					w.api.compact() // the next page's token is too old
				}
			}
			return false
		})
		w.api.compact()
		w.unexport("secure/payment")
		w.card(2, 35)
		after(5 * time.Second)
		w.wantReason(v1alpha1.ReasonSynced, "")
		for _, r := range w.sink.reports[there][1:] {
			if r.Reason != v1alpha1.ReasonSynced {
				t.Errorf("report %+v: to begin anew is no failure", r)
			}
		}
		if pages < 5 {
			t.Errorf("%d pages: the list has not been begun anew", pages)
		}
		if n := len(w.sink.names()); n != 36 {
			t.Errorf("%d copies, want 36: one of them vanished and has its grace", n)
		}
	})
}

// A watch that never comes about leaves the peer unreadable, though its lists can be read.
func TestWatchIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.between(func(rw http.ResponseWriter, r *http.Request) bool {
			return isWatch(r, advertisements) && says(503, "text/plain", "no healthy upstream")(rw, r)
		})
		w.start()
		after(10 * time.Minute)
		w.wantReason(v1alpha1.ReasonUnreachable, "")
		for _, r := range w.sink.reports[there] {
			if r.Reason == v1alpha1.ReasonSynced {
				t.Errorf("report %+v: the feed was never watched", r)
			}
		}
		if n := w.api.count("limit="); n > 150 {
			t.Errorf("%d lists in ten minutes", n)
		}
	})
}
