// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func measured(policy string, state v1alpha1.HopState, rtt time.Duration) probe.Report {
	return probe.Report{
		HopKey: translate.HopKey{Cluster: "c2", Policy: policy, Address: "10.2.0.1", Port: 31111},
		State:  state, Reason: "Because", Since: noon, RTT: rtt, Measured: true,
	}
}

func readNothing(string) probe.Testimony { return probe.FeedSilent }

func TestHopBookTellsWhatIsNews(t *testing.T) {
	b, now := newHopBook(), noon
	look := func(after time.Duration, reports ...probe.Report) hopNews {
		now = now.Add(after)
		return b.update(now, reports, probe.Judge(reports, b.doubted(), readNothing))
	}
	const ms = time.Millisecond
	high, low := measured("high", v1alpha1.HopHealthy, 40*ms), measured("low", v1alpha1.HopHealthy, 60*ms)
	for i, tc := range []struct {
		after         time.Duration
		rtt           time.Duration
		state         v1alpha1.HopState
		tell, reorder bool
		moves         int
	}{
		{0, 40 * ms, v1alpha1.HopHealthy, true, true, 0},
		{time.Hour, 40 * ms, v1alpha1.HopHealthy, false, false, 0},
		{time.Second, 44 * ms, v1alpha1.HopHealthy, false, false, 0},      // a tenth is no news
		{time.Second, 90 * ms, v1alpha1.HopHealthy, true, false, 0},       // half is
		{time.Second, 40 * ms, v1alpha1.HopHealthy, false, false, 0},      // but not so soon again
		{tellEvery, 40 * ms, v1alpha1.HopHealthy, true, false, 0},         //
		{time.Second, 400 * ms, v1alpha1.HopDegraded, true, true, 1},      // a state is news at once
		{time.Second, 400 * ms, v1alpha1.HopDegraded, false, false, 0},    //
		{time.Second, 0, v1alpha1.HopDead, true, true, 1},                 //
		{10 * time.Minute, 0, v1alpha1.HopDead, false, false, 0},          //
		{time.Second, 40 * ms, v1alpha1.HopHealthy, true, true, 1},        //
		{10 * time.Minute, 40 * ms, v1alpha1.HopHealthy, false, false, 0}, //
	} {
		high.RTT, high.State = tc.rtt, tc.state
		news := look(tc.after, high, low)
		if (len(news.tell) > 0) != tc.tell || (len(news.reorder) > 0) != tc.reorder || len(news.moves) != tc.moves {
			t.Errorf("look %d: %+v", i, news)
		}
	}
	if news := look(time.Second, low); len(news.tell) != 1 || len(news.reorder) != 1 {
		t.Errorf("a hop that went: %+v", news)
	}
	if news := look(time.Second); len(news.tell) != 0 || len(news.reorder) != 1 {
		t.Errorf("a peer that left: %+v", news)
	}
	if hops, _ := b.of("c2"); hops != nil {
		t.Errorf("what is left of it: %v", hops)
	}
}

func TestNewLeaderHasNoNewsOfWhatItFinds(t *testing.T) {
	b := newHopBook()
	high := measured("high", v1alpha1.HopDead, 0)
	b.adopt(noon, "c2", statusOf([]probe.Report{high}), false)
	high.Measured = false
	if news := b.update(noon.Add(time.Hour), []probe.Report{high}, probe.Judge([]probe.Report{high}, b.doubted(), readNothing)); len(news.tell)+len(news.moves) != 0 {
		t.Errorf("news %+v", news)
	}
}

// What cannot be tried is told while it cannot, and what is returning while it is. Neither is the reason of the state that a
// new leader finds, which goes on with the order of what is returning.
func TestPassingReasonsAreNotTakenOver(t *testing.T) {
	for _, tc := range []struct {
		state             v1alpha1.HopState
		broken, returning bool
		told, want        string
	}{
		{v1alpha1.HopHealthy, false, false, "Because", "Because"},
		{v1alpha1.HopHealthy, true, false, v1alpha1.HopReasonCannotTry, v1alpha1.HopReasonAnswers},
		{v1alpha1.HopDegraded, true, false, v1alpha1.HopReasonCannotTry, v1alpha1.ReasonNotMeasured},
		{v1alpha1.HopHealthy, false, true, v1alpha1.HopReasonReturning, v1alpha1.HopReasonAnswers},
		{v1alpha1.HopHealthy, true, true, v1alpha1.HopReasonReturning, v1alpha1.HopReasonAnswers},
	} {
		r := measured("high", tc.state, 40*time.Millisecond)
		r.Broken, r.Returning = tc.broken, tc.returning
		told := hopStatusOf(r)
		if told.Reason != tc.told {
			t.Errorf("the status says %+v, want the reason %s", told, tc.told)
		}
		found := foundHops([]v1alpha1.Peer{peerWith(told)}, "c2")
		want := probe.Report{HopKey: r.HopKey, State: tc.state, Reason: tc.want, Since: r.Since, Returning: tc.returning}
		if got := foundReport(r.HopKey, found[r.HopKey]); !reflect.DeepEqual(got, want) {
			t.Errorf("found %+v, want %+v", got, want)
		}
	}
}

func peerWith(hops ...v1alpha1.HopStatus) v1alpha1.Peer {
	return v1alpha1.Peer{Spec: v1alpha1.PeerSpec{ClusterID: "c2"}, Status: v1alpha1.PeerStatus{Hops: hops}}
}

// Who reads the status, a new leader or mcwanctl, orders paths as the controller does that wrote it.
func TestStatusSaysHowHopsAreOrdered(t *testing.T) {
	b, now := newHopBook(), noon
	look := func(reports ...probe.Report) hopNews {
		now = now.Add(time.Second)
		news := b.update(now, reports, probe.Judgement{})
		hops, _ := b.of("c2")
		read := snapshot.StatusHealth([]v1alpha1.Peer{peerWith(slices.Collect(maps.Values(hops))...)})
		if !reflect.DeepEqual(read, b.health()) {
			t.Errorf("ordered by %v, the status reads as %v", b.health(), read)
		}
		return news
	}
	low, none := measured("low", v1alpha1.HopDegraded, time.Second), measured("none", v1alpha1.HopDead, 0)
	high := measured("high", v1alpha1.HopHealthy, 40*time.Millisecond)
	high.Returning = true
	look(high, low, none)
	high.Returning = false
	if news := look(high, low, none); len(news.tell) != 1 || len(news.reorder) != 1 || len(news.moves) != 0 {
		t.Errorf("it is first again: %+v", news)
	}
}

// A new leader that does not believe its prober leaves a returning hop where it found it, whatever it is said to be.
func TestDoubtLeavesAReturningHopInItsPlace(t *testing.T) {
	high := measured("high", v1alpha1.HopHealthy, 40*time.Millisecond)
	returning := high
	returning.Returning = true
	b := newHopBook()
	b.adopt(noon, "c2", statusOf([]probe.Report{returning}), true)
	news := b.update(noon, []probe.Report{high}, probe.Judge([]probe.Report{high}, nil, readNothing))
	if got := b.health()[high.HopKey]; got != translate.HopReturning || len(news.moves) != 0 {
		t.Errorf("ordered as %s, %+v", got, news.moves)
	}
}

func TestHopsInStatus(t *testing.T) {
	card := v1alpha1.ClusterAdvertisementSpec{
		ClusterID: "c2", Addresses: []string{"10.2.0.1"},
		Policies: []v1alpha1.OfferedPolicy{{Name: "high", Tunnel: "business", Port: 31111}, {Name: "low", Tunnel: "lte", Port: 31111}},
	}
	accepted := metav1.Condition{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue}
	state := func(high, low v1alpha1.HopState, doubt string) peerState {
		return peerState{
			accepted: accepted, effective: card, doubt: doubt,
			hops: statusOf([]probe.Report{measured("high", high, 40*time.Millisecond), measured("low", low, time.Second)}),
		}
	}
	for _, tc := range []struct {
		in     peerState
		status metav1.ConditionStatus
		reason string
	}{
		{peerState{accepted: accepted, effective: card}, metav1.ConditionUnknown, v1alpha1.ReasonNotMeasured},
		{state(v1alpha1.HopHealthy, v1alpha1.HopHealthy, ""), metav1.ConditionTrue, v1alpha1.ReasonAllHealthy},
		{state(v1alpha1.HopHealthy, v1alpha1.HopDegraded, ""), metav1.ConditionFalse, v1alpha1.ReasonHopsDegraded},
		{state(v1alpha1.HopDead, v1alpha1.HopDegraded, ""), metav1.ConditionFalse, v1alpha1.ReasonHopsDead},
		{state(v1alpha1.HopDead, v1alpha1.HopDead, ""), metav1.ConditionFalse, v1alpha1.ReasonAllHopsDead},
		{state(v1alpha1.HopDead, v1alpha1.HopDead, "why"), metav1.ConditionUnknown, v1alpha1.ReasonProbeBroken},
		{state(v1alpha1.HopUnknown, v1alpha1.HopUnknown, "why"), metav1.ConditionUnknown, v1alpha1.ReasonProbeBroken},
	} {
		got := withHops(v1alpha1.PeerStatus{}, tc.in)
		if c := got.Conditions[0]; c.Status != tc.status || c.Reason != tc.reason || c.Message == "" {
			t.Errorf("%+v: condition %+v", tc.in.hops, c)
		}
		if len(got.Hops) != 2 || got.Hops[0].Tunnel != "business" || got.Hops[1].Tunnel != "lte" {
			t.Errorf("hops %+v", got.Hops)
		}
		// What stands is what the next one finds.
		again := tc.in
		again.before, again.hops = got, nil
		if found := withHops(got, again); !reflect.DeepEqual(found, got) {
			t.Errorf("found %+v, told %+v", found, got)
		}
	}
	if text := describeMove(hopMove{v1alpha1.HopHealthy, measured("high", v1alpha1.HopDegraded, 300*time.Millisecond)}); !strings.Contains(text, "300ms") {
		t.Error(text)
	}
}
