// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/l7mp/mc-wan/pkg/feed"
)

func TestWatchOfAPeerThatLeftEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{})
		ctx, cancel := context.WithCancel(t.Context())
		target := listPath + "?watch=true&resourceVersion=104"
		_, leaving := s.open(ctx, here, target)
		_, staying := s.open(ctx, "c3", target)
		s.server.Recheck()
		synctest.Wait()
		if ended(leaving) || ended(staying) {
			t.Fatal("a watch ended though nobody left")
		}
		s.peers = []string{"c3"}
		s.server.Recheck()
		synctest.Wait()
		if !ended(leaving) || ended(staying) {
			t.Error("the watch of the peer that left should have ended, and no other")
		}
		if code, _ := s.open(ctx, here, target); code != http.StatusForbidden {
			t.Errorf("status %d for a peer that left", code)
		}
		cancel()
		after(time.Second)
	})
}
