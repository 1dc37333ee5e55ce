// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func (w *world) wantNotice(reason string, want bool) {
	w.t.Helper()
	for _, n := range w.sink.last(there).Notices {
		if n.Reason == reason {
			if !want {
				w.t.Fatalf("notice %+v", n)
			}
			return
		}
	}
	if want {
		w.t.Fatalf("no notice %s in %+v", reason, w.sink.last(there))
	}
}

// What was draining goes at once; what vanishes otherwise has a grace, and a notice.
func TestVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart", "shop/stock")
		w.start()

		w.export("shop/cart", draining)
		after(time.Second)
		w.unexport("shop/cart") // the card follows later
		after(100 * time.Millisecond)
		w.wantNames("secure/payment", "shop/stock")
		w.card(2, 2)
		after(time.Second)
		w.wantNotice(v1alpha1.NoticeVanished, false)

		w.unexport("secure/payment")
		w.card(3, 1)
		after(55 * time.Second)
		w.wantNames("secure/payment", "shop/stock")
		w.wantNotice(v1alpha1.NoticeVanished, true)
		w.wantReason(v1alpha1.ReasonSynced, "")
		after(10 * time.Second)
		w.wantNames("shop/stock")
		w.wantNotice(v1alpha1.NoticeVanished, false)
	})
}

// Draining and deletion that arrive together are still draining before deletion.
func TestDrainingAndGoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		w.start()
		w.export("shop/cart", draining)
		w.unexport("shop/cart")
		w.card(2, 1)
		after(time.Second)
		w.wantNames("secure/payment")
	})
}

func TestVanishedReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		w.start()
		w.unexport("secure/payment")
		w.card(2, 1)
		after(40 * time.Second)
		w.wantNotice(v1alpha1.NoticeVanished, true)
		w.export("secure/payment")
		w.card(3, 2)
		after(time.Second)
		w.wantNotice(v1alpha1.NoticeVanished, false)
		w.unexport("secure/payment")
		w.card(4, 1)
		after(40 * time.Second)
		w.wantNames("secure/payment", "shop/cart") // the grace began anew
	})
}

// What is absent from a list is gone when the card says so too; until then nothing is removed, not even what drains.
func TestAbsentFromAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		w.export("shop/cart", draining)
		w.start()
		w.api.lose(advertisements, named(there, "shop", "cart"))
		w.wan.cut()
		after(time.Hour)
		w.wantNames("secure/payment", "shop/cart")
		w.wantReason(v1alpha1.ReasonUnreadable, "do not agree")
		w.card(2, 1)
		after(time.Second)
		w.wantNames("secure/payment")
		w.wantReason(v1alpha1.ReasonSynced, "")
	})
}

// A peer whose card and list have disagreed for long is not believed in anything, not even in a drained deletion.
func TestNothingIsRemovedForALiar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		w.start()
		w.card(2, 7)
		after(15 * time.Second)
		w.wantReason(v1alpha1.ReasonUnreadable, "do not agree")
		w.export("shop/cart", draining)
		w.unexport("shop/cart")
		after(15 * time.Second)
		w.wantReason(v1alpha1.ReasonUnreadable, "do not agree")
		before := w.sink.written()
		w.export("secure/payment", draining)
		after(time.Minute)
		w.wantNames("secure/payment", "shop/cart")
		if now := w.sink.written(); now != before {
			t.Errorf("%d writes", now-before)
		}
		w.card(3, 1)
		after(time.Second)
		w.wantNames("secure/payment")
		w.wantReason(v1alpha1.ReasonSynced, "")
	})
}

// The grace counts while the feed says so, not while it cannot be read.
func TestGraceNeedsAReadableFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		w.start()
		w.unexport("secure/payment")
		w.card(2, 1)
		after(30 * time.Second)
		w.between(says(503, "text/plain", "no healthy upstream"))
		w.wan.cut()
		after(time.Hour)
		w.between(nil)
		after(40 * time.Second)
		w.wantNames("secure/payment", "shop/cart")
		after(time.Minute)
		w.wantNames("shop/cart")
	})
}

// A restart loses nothing: what vanished meanwhile has its grace, and nothing is written that is written already.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart", "shop/stock")
		w.start()
		w.stop()
		before := w.sink.written()
		w.unexport("shop/cart")
		w.card(2, 2)
		w.start()
		w.wantNames("secure/payment", "shop/cart", "shop/stock")
		w.wantNotice(v1alpha1.NoticeVanished, true)
		after(2 * time.Minute)
		w.wantNames("secure/payment", "shop/stock")
		if n := w.sink.written() - before; n != 2 {
			t.Errorf("%d writes, want 2: the card and one deletion", n)
		}
	})
}

// A burst of exports, the card always a little behind: everything arrives at once and the feed counts as fine.
func TestCardLagsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		for i := range 100 {
			w.export("shop/s" + string(rune('a'+i/10)) + string(rune('a'+i%10)))
			after(150 * time.Millisecond)
			if n := len(w.sink.names()); n != i+1 {
				t.Fatalf("%d copies, want %d", n, i+1)
			}
			if i%10 == 0 {
				w.card(int64(i+2), i) // one less
			}
		}
		w.card(1000, 100)
		after(time.Second)
		for _, r := range w.sink.reports[there][1:] {
			if r.Reason != v1alpha1.ReasonSynced {
				t.Errorf("report %+v", r)
			}
		}
	})
}
