// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// TestWitnessIsAskedOnceInAWhile: when hops fall silent the feed is asked; it is believed when it has answered twice, its word
// holds for a while, and what is not read is not asked.
func TestWitnessIsAskedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, told, answers := 0, 0, true
		w := newWitness(func(ctx context.Context, _ string) bool {
			asked++
			if answers {
				return true
			}
			<-ctx.Done()
			return false
		}, func() { told++ }, time.Now)
		read := map[string]bool{"c2": true, "c3": false}
		look := func(silent ...string) probe.Testimony {
			clusters := map[string]bool{}
			for _, c := range silent {
				clusters[c] = true
			}
			w.silent(t.Context(), clusters, func(c string) bool { return read[c] })
			return w.says("c2")
		}
		expect := func(what string, got, want probe.Testimony, asks int) {
			t.Helper()
			if got != want || asked != asks || w.says("c3") != probe.FeedSilent {
				t.Errorf("%s: says %d after %d questions, want %d after %d", what, got, asked, want, asks)
			}
		}
		expect("all is well", look(), probe.FeedSilent, 0)
		if got := look("c2", "c3"); got != probe.FeedAsked {
			t.Errorf("while it is asked: says %d", got)
		}
		synctest.Wait()
		expect("it answered once", look("c2", "c3"), probe.FeedAsked, 1)
		time.Sleep(askAgainAfter) //nolint:forbidigo // simulated time
		look("c2", "c3")
		synctest.Wait()
		expect("it answered twice", w.says("c2"), probe.FeedAnswers, 2)
		time.Sleep(askAgainAfter) //nolint:forbidigo // simulated time
		answers = false
		again := look("c2")
		synctest.Wait()
		expect("while it is asked again", again, probe.FeedAnswers, 3)
		time.Sleep(answerWithin) //nolint:forbidigo // simulated time
		synctest.Wait()
		expect("it did not answer", look("c2"), probe.FeedSilent, 3)
		read["c2"] = false
		time.Sleep(askAgainAfter) //nolint:forbidigo // simulated time
		expect("it is not read any more", look("c2"), probe.FeedSilent, 3)
		if told != 3 {
			t.Errorf("told %d times", told)
		}
	})
}

// TestUndecidedHopsKeepTheirVerdicts: while a feed may still answer the order stays as it was.
func TestUndecidedHopsKeepTheirVerdicts(t *testing.T) {
	b, says := newHopBook(), probe.FeedSilent
	look := func(reports ...probe.Report) hopNews {
		return b.update(noon, reports, probe.Judge(reports, b.doubted(), func(string) probe.Testimony { return says }))
	}
	high, low := measured("high", v1alpha1.HopDead, 0), measured("low", v1alpha1.HopHealthy, time.Millisecond)
	look(high, low)
	low.State, says = v1alpha1.HopDead, probe.FeedAsked
	if news := look(high, low); len(news.reorder) != 0 || b.health()[high.HopKey] != v1alpha1.HopDead || b.health()[low.HopKey] != v1alpha1.HopHealthy {
		t.Errorf("while it is asked: %+v, %v", news, b.health())
	}
	if hops, _ := b.of("c2"); hops[low.HopKey].State != v1alpha1.HopHealthy {
		t.Errorf("the status says what nobody acts on: %+v", hops)
	}
	says = probe.FeedSilent
	if news := look(high, low); len(news.reorder) != 1 || b.health()[low.HopKey] != v1alpha1.HopDead {
		t.Errorf("when it did not answer: %+v, %v", news, b.health())
	}
}

// TestDoubtedHopsKeepTheirOrder: what the prober says in doubt is neither acted on nor told, and a hop that was dead before
// comes last, since nobody knows whether it still is.
func TestDoubtedHopsKeepTheirOrder(t *testing.T) {
	b, says := newHopBook(), probe.FeedAnswers
	look := func(reports ...probe.Report) hopNews {
		return b.update(noon, reports, probe.Judge(reports, b.doubted(), func(string) probe.Testimony { return says }))
	}
	high, low := measured("high", v1alpha1.HopDead, 0), measured("low", v1alpha1.HopHealthy, time.Millisecond)
	look(high, low)
	low.State = v1alpha1.HopDead
	news := look(high, low)
	if len(news.moves) != 0 {
		t.Errorf("told of %+v", news.moves)
	}
	if health := b.health(); health[high.HopKey] != translate.HopDoubted || health[low.HopKey] != v1alpha1.HopHealthy {
		t.Errorf("ordered by %v", health)
	}
	hops, doubt := b.of("c2")
	if doubt == "" || hops[high.HopKey].State != v1alpha1.HopDead || hops[low.HopKey].State != v1alpha1.HopHealthy {
		t.Errorf("doubt %q, status %+v", doubt, hops)
	}
	for _, r := range b.states([]probe.Report{high, low}) {
		if want := hops[r.HopKey].State; r.State != want {
			t.Errorf("metrics say %s of %s, the status says %s", r.State, r.Policy, want)
		}
	}

	// Whoever takes over from the status goes on in the same way.
	next := newHopBook()
	next.adopt(noon, "c2", hops, true)
	for _, state := range []v1alpha1.HopState{v1alpha1.HopHealthy, v1alpha1.HopDead} { // it dies a moment after the other one
		low.State = state
		reports := []probe.Report{high, low}
		if news := next.update(noon, reports, probe.Judge(reports, next.doubted(), func(string) probe.Testimony { return says })); len(news.moves) != 0 {
			t.Errorf("a new leader tells of %+v", news.moves)
		}
		if _, doubt := next.of("c2"); doubt == "" || !reflect.DeepEqual(next.health(), b.health()) {
			t.Errorf("a new leader orders by %v, doubt %q", next.health(), doubt)
		}
	}

	// The prober recovers: a death that was doubted is not acted on while the hop answers, but when it falls silent again.
	for answering, want := range map[bool]v1alpha1.HopState{true: v1alpha1.HopHealthy, false: v1alpha1.HopDead} {
		later := newHopBook()
		later.adopt(noon, "c2", hops, false)
		again := low
		again.Answering = answering
		news := later.update(noon, []probe.Report{high, again}, probe.Judgement{})
		if got := later.health()[low.HopKey]; got != want || (len(news.moves) > 0) == answering {
			t.Errorf("a doubted death, answering %t: ordered as %s, %+v", answering, got, news.moves)
		}
		again.State, again.Returning = v1alpha1.HopHealthy, true
		news = later.update(noon, []probe.Report{high, again}, probe.Judgement{})
		if got := later.health()[low.HopKey]; (got == translate.HopReturning) == answering || (len(news.moves) > 0) == answering {
			t.Errorf("the return from a doubted death, answering %t: ordered as %s, %+v", answering, got, news.moves)
		}
	}

	// One of them answers: that ends the doubt, and what is true now is told.
	low.State = v1alpha1.HopHealthy
	if news := look(high, low); len(news.moves) != 0 || b.health()[high.HopKey] != v1alpha1.HopDead {
		t.Errorf("after the doubt: %+v, %v", news.moves, b.health())
	}
}
