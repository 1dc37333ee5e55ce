// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

func TestOnlyReportsOfAcceptedPeersStand(t *testing.T) {
	b := newPeerBook()
	for _, id := range []string{"c2", "c3"} {
		b.set(feed.PeerReport{ClusterID: id, Reason: v1alpha1.ReasonSynced})
	}
	b.keep([]string{"c3", "c4"})
	if b.synced("c2") || !b.synced("c3") || b.get("c4").Reason != v1alpha1.ReasonPending {
		t.Errorf("c2 %+v, c3 %+v, c4 %+v", b.get("c2"), b.get("c3"), b.get("c4"))
	}
}
