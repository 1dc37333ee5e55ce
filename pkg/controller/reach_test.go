// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/probe"
)

func TestPeersAreWithdrawnWhenNothingAnswersForLong(t *testing.T) {
	r, now := newReach(time.Minute), noon
	out := func(ids ...string) map[string]bool {
		m := map[string]bool{}
		for _, id := range ids {
			m[id] = false
		}
		return m
	}
	for i, tc := range []struct {
		after     time.Duration
		unreached map[string]bool
		moved     int
		lost      bool
	}{
		{0, out(), 0, false},
		{time.Second, out("c2"), 0, false},
		{59 * time.Second, out("c2"), 0, false},
		{time.Second, out("c2"), 1, true},
		{time.Hour, out("c2", "c3"), 0, true},
		{time.Second, out("c3"), 1, false}, // the first sign of life
		{30 * time.Second, out("c2"), 0, false},
		{45 * time.Second, out("c2"), 0, false}, // and it starts anew
		{30 * time.Second, out("c2"), 1, true},
		{time.Second, out(), 1, false},
	} {
		now = now.Add(tc.after)
		if moved := r.update(now, tc.unreached); len(moved) != tc.moved || r.withdrawn("c2", v1alpha1.PeerStatus{}) != tc.lost {
			t.Errorf("look %d: moved %v, withdrawn %t", i, moved, r.withdrawn("c2", v1alpha1.PeerStatus{}))
		}
	}
}

func TestNewLeaderKeepsPeersWithdrawn(t *testing.T) {
	r := newReach(time.Minute)
	status := v1alpha1.PeerStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionFalse}}}
	if !r.withdrawn("c2", status) {
		t.Error("before the first look the status holds")
	}
	if r.update(noon, map[string]bool{"c2": true, "c3": false}); !r.withdrawn("c2", status) || r.withdrawn("c3", status) {
		t.Error("what was withdrawn stays so while nothing answers")
	}
}

func TestOneWitnessWithdrawsNothing(t *testing.T) {
	peers := []v1alpha1.Peer{{Spec: v1alpha1.PeerSpec{ClusterID: "c2"}}}
	for _, tc := range []struct {
		feed      string
		high, low v1alpha1.HopState
		want      int
	}{
		{v1alpha1.ReasonSynced, v1alpha1.HopHealthy, v1alpha1.HopHealthy, 0},
		{v1alpha1.ReasonUnreachable, v1alpha1.HopHealthy, v1alpha1.HopDead, 0},
		{v1alpha1.ReasonSynced, v1alpha1.HopDead, v1alpha1.HopDead, 0},
		{v1alpha1.ReasonUnreachable, v1alpha1.HopDead, v1alpha1.HopUnknown, 0},
		{v1alpha1.ReasonUnreachable, v1alpha1.HopDead, v1alpha1.HopDead, 1},
		{v1alpha1.ReasonPending, v1alpha1.HopDead, v1alpha1.HopDead, 1},
	} {
		book, feeds := newHopBook(), newPeerBook()
		feeds.set(feed.PeerReport{ClusterID: "c2", Reason: tc.feed})
		reports := []probe.Report{measured("high", tc.high, 0), measured("low", tc.low, 0)}
		book.update(noon, reports, probe.Judge(reports, func(cluster string) probe.Testimony {
			if feeds.synced(cluster) {
				return probe.FeedAnswers
			}
			return probe.FeedSilent
		}))
		if got := unreached(peers, book, feeds); len(got) != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}
