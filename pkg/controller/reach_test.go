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
	out := func(ids ...string) map[string]absence {
		m := map[string]absence{}
		for _, id := range ids {
			m[id] = absence{}
		}
		return m
	}
	for i, tc := range []struct {
		after     time.Duration
		unreached map[string]absence
		moved     int
		lost      bool
	}{
		{0, out(), 0, false},
		{time.Second, out("c2"), 0, false},
		{59 * time.Second, out("c2"), 0, false},
		{time.Second, out("c2"), 1, true},
		{time.Hour, out("c2", "c3"), 0, true},
		{time.Second, out("c3"), 1, false}, // it is back
		{30 * time.Second, out("c2"), 0, false},
		{45 * time.Second, out("c2"), 0, false}, // and it starts anew
		{30 * time.Second, out("c2"), 1, true},
		{time.Second, out(), 1, false},
	} {
		now = now.Add(tc.after)
		moved, because := r.update(now, tc.unreached), r.withdrawn("c2", v1alpha1.PeerStatus{})
		if len(moved) != tc.moved || (because == v1alpha1.ReasonWithdrawn) != tc.lost {
			t.Errorf("look %d: moved %v, withdrawn %q", i, moved, because)
		}
	}
}

func TestNewLeaderKeepsPeersWithdrawn(t *testing.T) {
	r := newReach(time.Minute)
	status := v1alpha1.PeerStatus{Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWithdrawn},
	}}
	if r.withdrawn("c2", status) == "" {
		t.Error("before the first look the status holds")
	}
	r.update(noon, map[string]absence{"c2": {before: v1alpha1.ReasonWithdrawn}, "c3": {}})
	if r.withdrawn("c2", status) == "" || r.withdrawn("c3", status) != "" {
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
		book.update(noon, reports, probe.Judge(reports, book.doubted(), func(cluster string) probe.Testimony {
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

// TestPeerThatRefusesIsNotUsed: at once when its controller says so, as long as nothing else is heard of it, whoever leads.
func TestPeerThatRefusesIsNotUsed(t *testing.T) {
	peers := []v1alpha1.Peer{{Spec: v1alpha1.PeerSpec{ClusterID: "c2"}}}
	book, feeds, r := newHopBook(), newPeerBook(), newReach(time.Minute)
	book.update(noon, []probe.Report{measured("high", v1alpha1.HopHealthy, 0)}, probe.Judgement{})
	for i, tc := range []struct {
		reason     string
		turnedAway bool
		want       string
	}{
		{v1alpha1.ReasonSynced, false, ""},
		{v1alpha1.ReasonRefused, false, ""}, // its gateway may say so by mistake
		{v1alpha1.ReasonRefused, true, v1alpha1.ReasonRefused},
		{v1alpha1.ReasonRefused, false, v1alpha1.ReasonRefused}, // its gateway says it by now
		{v1alpha1.ReasonUnreachable, false, v1alpha1.ReasonRefused},
		{v1alpha1.ReasonSynced, false, ""},
	} {
		feeds.set(feed.PeerReport{ClusterID: "c2", Reason: tc.reason, TurnedAway: tc.turnedAway})
		r.update(noon, unreached(peers, book, feeds))
		got := r.withdrawn("c2", peers[0].Status)
		if got != tc.want {
			t.Errorf("look %d: withdrawn %q, want %q", i, got, tc.want)
		}
		status, reason := metav1.ConditionTrue, v1alpha1.ReasonReachable
		if got != "" {
			status, reason = metav1.ConditionFalse, got
		}
		peers[0].Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReachable, Status: status, Reason: reason}}
		if tc.want == "" {
			continue
		}
		if next := newReach(time.Minute); next.withdrawn("c2", peers[0].Status) != got {
			t.Errorf("look %d: a new leader does not find it", i)
		} else if next.update(noon, unreached(peers, book, feeds)); next.withdrawn("c2", peers[0].Status) != got {
			t.Errorf("look %d: a new leader says %q", i, next.withdrawn("c2", peers[0].Status))
		}
	}
}
