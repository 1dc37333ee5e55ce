// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func TestReaderCopiesWhatThePeerPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		w.api.put(advertisements, here, "not-theirs", advertisement(here, "secure", "copy-of-ours"))
		w.start()
		w.wantNames("secure/payment", "shop/cart")
		w.wantReason(v1alpha1.ReasonSynced, "watched")
		if r := w.sink.last(there); !r.SyncedOnce || r.Counts.Accepted != 2 || r.Counts.Refused != 0 || r.Card == nil || r.Card.Generation != 1 {
			t.Fatalf("report %+v", r)
		}
		w.export("secure/ledger")
		after(150 * time.Millisecond)
		w.wantNames("secure/ledger", "secure/payment", "shop/cart")
		w.card(2, 3)
		after(time.Second)
		w.wantReason(v1alpha1.ReasonSynced, "watched")
	})
}
