// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

const ms = time.Millisecond

const (
	healthy, degraded, dead = v1alpha1.HopHealthy, v1alpha1.HopDegraded, v1alpha1.HopDead
	minute                  = time.Minute
)

func TestHealthyHopIsAskedSeldomAndNeverJudgedOtherwise(t *testing.T) {
	for seed := range int64(20) {
		s := newSim(high, seed, steady(40*ms, 4*ms))
		s.until(10 * minute)
		if len(s.changes) != 1 || s.changes[0].State != healthy || s.changes[0].At > 3*time.Second {
			t.Fatalf("changes %v", s.changes)
		}
		for i := 2; i < len(s.sent); i++ {
			if pause := s.sent[i] - s.sent[i-1]; pause < Interval || pause > Interval*6/5 {
				t.Fatalf("a pause of %v", pause)
			}
		}
	}
}

// What is lost within the SLA is no reason to ask more often: where every loss is one, a link that loses 2 % of handshakes
// is asked more than five times a second for ever.
func TestLossWithinTheSLAIsHardlyAskedMoreOften(t *testing.T) {
	for seed := range int64(20) {
		s := newSim(Bounds{Loss: 0.05}, seed, lossy(steady(40*ms, 4*ms), 0.01))
		s.until(10 * minute)
		if perSecond := float64(s.sentFrom(0)) / (10 * minute).Seconds(); perSecond > 2.5 || len(s.changes) > 1 {
			t.Errorf("%.1f handshakes a second, changes %v", perSecond, s.changes)
		}
	}
}

func TestDeadHopIsFoundWithinASecondOrSo(t *testing.T) {
	for _, tc := range []struct {
		rtt, most time.Duration
		bad       link
		why       string
	}{
		{10 * ms, 1300 * ms, silentLink, v1alpha1.HopReasonNoAnswer},
		{40 * ms, 1300 * ms, silentLink, v1alpha1.HopReasonNoAnswer},
		{120 * ms, 1500 * ms, silentLink, v1alpha1.HopReasonNoAnswer},
		{400 * ms, 2300 * ms, silentLink, v1alpha1.HopReasonNoAnswer},
		{40 * ms, 800 * ms, refusing, v1alpha1.HopReasonRefused},
	} {
		for seed := range int64(20) {
			s := newSim(Bounds{Loss: -1}, seed, then(steady(tc.rtt, tc.rtt/10), 20*time.Second, tc.bad))
			s.until(40 * time.Second)
			within(t, fmt.Sprintf("%s of a hop at %v: dead", tc.why, tc.rtt), s.when(dead, 20*time.Second), 20*time.Second, tc.most)
			if last := s.changes[len(s.changes)-1]; last.State != dead || last.Why != tc.why {
				t.Errorf("ends as %v", last)
			}
			if len(s.sent) > 96 {
				t.Errorf("%d handshakes in 40 s", len(s.sent))
			}
		}
	}
}

func TestUnknownHopThatIsSilentDies(t *testing.T) {
	s := newSim(high, 1, silentLink)
	s.until(5 * time.Second)
	within(t, "dead", s.when(dead, 0), 0, 3*time.Second)
}

func TestSingleLossesKillNobody(t *testing.T) {
	for seed := range int64(5) {
		s := newSim(Bounds{Loss: -1}, seed, lossy(steady(40*ms, 4*ms), 0.02))
		s.until(20 * minute)
		if s.when(dead, 0) >= 0 || s.when(degraded, 0) >= 0 {
			t.Errorf("2 %% loss on a hop without SLA: %v", s.changes)
		}
	}
}

// A sudden step in latency must not look like death, up to where nobody could tell.
func TestLatencyStepDegradesAndComesBack(t *testing.T) {
	for _, slow := range []time.Duration{130 * ms, 340 * ms, 640 * ms} {
		for seed := range int64(20) {
			bad, good := 20*time.Second, 60*time.Second
			s := newSim(high, seed, then(then(steady(40*ms, 4*ms), bad, steady(slow, slow/20)), good, steady(40*ms, 4*ms)))
			s.until(2 * minute)
			within(t, fmt.Sprintf("%v: degraded", slow), s.when(degraded, bad), bad, 6*time.Second)
			if s.when(dead, 0) >= 0 {
				t.Errorf("%v: taken for dead: %v", slow, s.changes)
			}
			within(t, "back", s.when(healthy, good), good, 25*time.Second)
			if len(s.changes) != 3 {
				t.Errorf("%v: %v", slow, s.changes)
			}
		}
	}
}

func TestJitterDegradesAndComesBack(t *testing.T) {
	bounds := Bounds{Jitter: 20 * ms, Loss: -1}
	for seed := range int64(20) {
		bad, good := 20*time.Second, 60*time.Second
		s := newSim(bounds, seed, then(then(steady(60*ms, 2*ms), bad, steady(120*ms, 80*ms)), good, steady(60*ms, 2*ms)))
		s.until(2 * minute)
		within(t, "degraded", s.when(degraded, bad), bad, 9*time.Second)
		within(t, "back", s.when(healthy, good), good, 40*time.Second)
		if len(s.changes) != 3 {
			t.Errorf("%v", s.changes)
		}
	}
}

func TestDeadHopReturnsAfterAStableTimeThatGrows(t *testing.T) {
	s := newSim(Bounds{Loss: -1}, 1, nil)
	s.link = alternate(steady(40*ms, ms), 30*time.Second, silentLink, 10*time.Second)
	s.until(4 * minute)
	var away []time.Duration
	for i, c := range s.changes {
		if c.State == healthy && i > 0 {
			away = append(away, (c.At % (40 * time.Second)).Round(time.Second))
		}
	}
	// 5, 10 and 20 seconds after the link is up; 40 seconds without a failure do not come any more.
	if want := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}; !slices.EqualFunc(away, want, near) {
		t.Errorf("returns after %v, want %v: %v", away, want, s.changes)
	}
	if s.t.state != dead {
		t.Errorf("ends as %v", s.t.state)
	}
}

func near(a, b time.Duration) bool { return (a - b).Abs() <= 1500*ms }

// Where connections are kept open over what comes next, a hop that was dead comes next for a while.
func TestHopReturnsSecondWhereConnectionsAreKept(t *testing.T) {
	for _, warm := range []bool{true, false} {
		s := newSim(high, 1, then(then(steady(40*ms, ms), 10*time.Second, refusing), 20*time.Second, steady(40*ms, ms)))
		s.t.warm = warm
		var verdicts []v1alpha1.HopState
		var at []time.Duration
		s.until(time.Minute, func(s *sim) bool {
			if v := s.t.Report(testHop, s.now).Verdict(); len(verdicts) == 0 || verdicts[len(verdicts)-1] != v {
				verdicts, at = append(verdicts, v), append(at, s.now.Sub(s.start))
			}
			return false
		})
		want := []v1alpha1.HopState{v1alpha1.HopUnknown, healthy, dead, healthy}
		if warm {
			want = []v1alpha1.HopState{v1alpha1.HopUnknown, healthy, dead, translate.HopReturning, healthy}
		}
		if !slices.Equal(verdicts, want) {
			t.Fatalf("warm %v: verdicts %v at %v", warm, verdicts, at)
		}
		if warm {
			within(t, "first again", at[4], at[3], returningFor+Interval*6/5)
		}
	}
}

// What a hop did under other bounds does not keep it away: one without an SLA is not degraded.
func TestOtherBoundsBeginAnew(t *testing.T) {
	good, bad := steady(60*ms, 3*ms), steady(130*ms, 3*ms)
	s := newSim(high, 1, alternate(bad, 30*time.Second, good, 30*time.Second))
	s.until(80 * time.Second) // slow, well and back, slow again
	if r := s.t.Report(testHop, s.now); r.State != v1alpha1.HopDegraded || r.Hold < 4*minute {
		t.Fatalf("%+v", r)
	}
	s.t.SetBounds(BoundsOf(nil))
	s.until(110 * time.Second)
	if r := s.t.Report(testHop, s.now); r.State != healthy || r.Hold != 0 {
		t.Errorf("%+v", r)
	}
}

// A link that oscillates around the threshold, in whatever rhythm, flaps less than once in five minutes.
func TestOscillationIsDamped(t *testing.T) {
	good, bad := steady(60*ms, 3*ms), steady(130*ms, 3*ms)
	for _, period := range []time.Duration{2, 5, 10, 20, 30, 45, 60, 90, 120, 130, 150, 180, 240, 300, 450} {
		period *= time.Second
		for seed := range int64(3) {
			s := newSim(high, seed, alternate(good, period/2, bad, period/2))
			s.until(30 * minute)
			checkFlaps(t, fmt.Sprintf("period %v", period), s)
		}
	}
	// noise around the bound, and losses around it
	for seed := range int64(4) {
		s := newSim(high, seed, steady(100*ms, 30*ms))
		s.until(30 * minute)
		checkFlaps(t, "noise around the bound", s)
		s = newSim(high, seed, lossy(steady(40*ms, 4*ms), 0.008))
		s.until(30 * minute)
		if n := returns(s); len(n) > 6 {
			t.Errorf("losses around the bound: %d returns in half an hour: %v", len(n), s.changes)
		}
	}
}

func returns(s *sim) []time.Duration {
	var out []time.Duration
	for _, c := range s.changes[1:] {
		if c.State == healthy {
			out = append(out, c.At)
		}
	}
	return out
}

// checkFlaps: between a return and the one after the next there are five minutes at least.
func checkFlaps(t *testing.T, what string, s *sim) {
	t.Helper()
	all := returns(s)
	for i := 1; i < len(all); i++ {
		if all[i]-all[i-1] < 5*minute {
			t.Errorf("%s: returns at %v: more than one in five minutes", what, all)
			return
		}
	}
}

func TestFoundStatesStandUntilMeasured(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		found v1alpha1.HopState
		hold  time.Duration
	}{{dead, deadHold}, {degraded, lossWindow}} {
		s := newSim(high, 1, steady(40*ms, 4*ms))
		s.t = NewTrack(high, Report{State: tc.found, Reason: "Found", Since: start.Add(-time.Hour)}, start)
		if r := s.t.Report(testHop, s.now); r.State != tc.found || r.Reason != "Found" || !r.Since.Equal(start.Add(-time.Hour)) {
			t.Errorf("report %+v", r)
		}
		s.until(minute)
		at := s.when(healthy, 0)
		if at < tc.hold || at > tc.hold+2*time.Second {
			t.Errorf("found %s: healthy after %v, want the stable time of %v", tc.found, at, tc.hold)
		}
	}
	for _, returning := range []bool{true, false} {
		since := start.Add(-5 * time.Second)
		found := NewTrack(high, Report{State: healthy, Reason: "Answers", Since: since, Returning: returning}, start)
		found.warm = true
		if r := found.Report(testHop, start); r.Returning != returning {
			t.Errorf("found healthy, returning %t: returning is %t", returning, r.Returning)
		}
		if found.Report(testHop, since.Add(returningFor)).Returning {
			t.Errorf("found healthy, returning %t: it returns for ever", returning)
		}
	}
	s := newSim(high, 1, silentLink)
	s.t = NewTrack(high, Report{State: healthy, Since: start}, start)
	s.until(10 * time.Second)
	within(t, "found healthy and silent: dead", s.when(dead, 0), 0, 3*time.Second)
}

// TestFoundDegradedStaysSoWhileItIs: who takes over has measured nothing, so that nothing was lost yet and nothing came late
// says nothing. A hop that is found degraded does not come back sooner than it would have.
func TestFoundDegradedStaysSoWhileItIs(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		bounds Bounds
		bad    link
	}{
		"loss":   {Bounds{Loss: 0.01}, lossy(steady(40*ms, ms), 0.05)},
		"jitter": {Bounds{Jitter: 20 * ms, Loss: -1}, steady(100*ms, 33*ms)}, // the mean deviation is 22 ms
	} {
		for seed := range int64(50) {
			s := newSim(tc.bounds, seed, tc.bad)
			s.t = NewTrack(tc.bounds, Report{State: degraded, Reason: "Found", Since: start.Add(-time.Hour)}, start)
			s.until(lossWindow)
			if len(s.changes) > 0 {
				t.Errorf("%s, seed %d: %v", name, seed, s.changes)
			}
		}
	}
}

// TestWhatIsNotMeasuredDoesNotReturn: a prober that could not try for a while has seen no loss, and knows nothing.
func TestWhatIsNotMeasuredDoesNotReturn(t *testing.T) {
	for seed := range int64(50) {
		s := newSim(Bounds{Loss: 0.01}, seed, lossy(steady(40*ms, ms), 0.1))
		s.until(2*minute, func(s *sim) bool { return s.t.state == degraded })
		before := len(s.changes)
		for range 120 {
			s.now = s.now.Add(Interval)
			s.t.Sent(s.now, 0)
			s.t.Done(s.now, Result{Sent: s.now, Kind: Broken})
		}
		r := s.t.Report(testHop, s.now)
		s.until(s.now.Sub(s.start) + lossWindow)
		if r.State != degraded || r.Hold < lossWindow || len(s.changes) > before {
			t.Errorf("seed %d: %+v, %v", seed, r, s.changes)
		}
	}
}

// TestOneLateAnswerIsNoJitter, however late, as long as the jitter was well within its bound.
func TestOneLateAnswerIsNoJitter(t *testing.T) {
	for seed := range int64(50) {
		link := steady(40*ms, 8*ms) // the mean deviation is 5 ms of 10
		for i := range 10 {
			link = once(link, time.Duration(1+i)*time.Minute, steady(time.Duration(200+70*i)*ms, 0))
		}
		s := newSim(Bounds{Jitter: 10 * ms, Loss: -1}, seed, link)
		most := time.Duration(0)
		s.until(12*minute, func(s *sim) bool {
			most = max(most, s.t.Report(testHop, s.now).Jitter)
			return false
		})
		if len(s.changes) != 1 || most < 50*ms { // what is shown is RFC 3550's, 800 ms twice with a gain of 1/16
			t.Errorf("seed %d: %v, up to %s", seed, s.changes, most)
		}
	}
}

// TestDeadHopAnswersBeforeItReturns: who asks why all hops are dead has to know that one is on its way back.
func TestDeadHopAnswersBeforeItReturns(t *testing.T) {
	const bad, good, again = 10 * time.Second, 20 * time.Second, 23 * time.Second
	s := newSim(high, 1, then(then(then(steady(40*ms, ms), bad, silentLink), good, steady(40*ms, ms)), again, silentLink))
	for _, tc := range []struct {
		at   time.Duration
		want bool
	}{{bad, false}, {good, false}, {again - time.Second, true}, {again + 3*time.Second, false}} {
		s.until(tc.at)
		if r := s.t.Report(testHop, s.now); r.Answering != tc.want || (r.State == dead) != (tc.at > bad) {
			t.Errorf("at %s: %+v", tc.at, r)
		}
	}
}

func TestDegradedHopThatDiesComesBackDegraded(t *testing.T) {
	bad := lossy(steady(40*ms, ms), 0.2)
	s := newSim(high, 3, then(then(bad, 40*time.Second, silentLink), 50*time.Second, steady(40*ms, ms)))
	s.until(3 * minute)
	var states []v1alpha1.HopState
	for _, c := range s.changes {
		states = append(states, c.State)
	}
	tail := states[max(0, len(states)-4):]
	if want := []v1alpha1.HopState{degraded, dead, degraded, healthy}; !slices.Equal(tail, want) {
		t.Errorf("%v", s.changes)
	}
}

func TestBrokenAttemptsSayNothing(t *testing.T) {
	s := newSim(high, 1, steady(40*ms, ms))
	s.until(10 * time.Second)
	for range 100 {
		s.now = s.now.Add(Interval)
		s.t.Sent(s.now, 0)
		s.t.Done(s.now, Result{Sent: s.now, Kind: Broken})
	}
	if r := s.t.Report(testHop, s.now); r.State != healthy || !r.Broken {
		t.Errorf("report %+v", r)
	}
	s.until(s.now.Sub(s.start) + 5*time.Second)
	if r := s.t.Report(testHop, s.now); r.State != healthy || r.Broken {
		t.Errorf("after it works again: %+v", r)
	}
}

func TestStalledProcessBlamesNoHop(t *testing.T) {
	s := newSim(high, 1, steady(40*ms, ms))
	s.until(10 * time.Second)
	for range 5 {
		s.t.Sent(s.now, 0)
	}
	open := s.now
	s.now = s.now.Add(3 * time.Second)
	s.t.Stalled(s.now)
	for range 5 {
		s.t.Done(s.now, Result{Sent: open, Kind: Lost})
	}
	if r := s.t.Report(testHop, s.now); r.State != healthy || r.Loss != 0 {
		t.Errorf("report %+v", r)
	}
}

// TestPace: what a hop takes at most (docs/tunnels.md), in any second.
func TestPace(t *testing.T) {
	const bad, end = 35 * time.Second, 3 * minute
	for _, tc := range []struct {
		name string
		each float64
		most int
	}{{"nothing is lost", 0, 2}, {"5 %", 0.05, 10}, {"30 %", 0.3, 10}} {
		for seed := range int64(50) {
			s := newSim(Bounds{Loss: 0.01}, seed, then(steady(40*ms, 4*ms), bad, lossy(steady(40*ms, 4*ms), tc.each)))
			s.until(end)
			for i, from := range s.sent {
				n := slices.IndexFunc(s.sent[i:], func(at time.Duration) bool { return at-from >= time.Second })
				if n > tc.most {
					t.Errorf("%s, seed %d: %d handshakes in the second from %v", tc.name, seed, n, from)
				}
			}
		}
	}
}

// TestDetectionTimes computes the table of the package's documentation and of docs/tunnels.md, and checks both.
func TestDetectionTimes(t *testing.T) {
	table := detectionTable()
	for _, file := range []string{"doc.go", "../../docs/tunnels.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range table {
			cells := strings.Join(strings.Fields(row), " ")
			found := false
			for line := range strings.Lines(string(text)) {
				found = found || strings.Contains(strings.Join(strings.Fields(strings.NewReplacer("//", "", "|", " ").Replace(line)), " "), cells)
			}
			if !found {
				t.Errorf("%s lacks the row %q", file, row)
			}
		}
	}
}

// detectionTable has a row for each loss ratio each way, and what share of handshakes that is: how many of 100 hops with an
// SLA of 1 % are found within ten minutes, the median and the 90th percentile of the time that takes, and how many
// handshakes a second it takes.
func detectionTable() []string {
	const runs, limit = 100, 10 * minute
	var out []string
	for _, percent := range []float64{0.25, 0.5, 1, 2, 5, 10, 30} {
		each := percent / 100
		var times []time.Duration
		sent, asked := 0, time.Duration(0)
		for seed := range int64(runs) {
			bad := 35 * time.Second
			s := newSim(Bounds{Loss: 0.01}, seed, then(steady(40*ms, 4*ms), bad, lossy(steady(40*ms, 4*ms), each)))
			found := func(s *sim) bool { return s.when(degraded, bad) >= 0 || s.when(dead, bad) >= 0 }
			s.until(bad+limit, found)
			sent, asked = sent+s.sentFrom(bad), asked+s.now.Sub(s.start)-bad
			if found(s) {
				times = append(times, s.now.Sub(s.start)-bad)
			}
		}
		slices.Sort(times)
		at := func(share float64) string {
			i := int(share * runs)
			if i >= len(times) {
				return "-"
			}
			return times[i].Round(time.Second).String()
		}
		out = append(out, fmt.Sprintf("%g %% %.2g %% %d %% %s %s %.1f", percent, 100*each*(2-each), 100*len(times)/runs, at(0.5), at(0.9), float64(sent)/asked.Seconds()))
	}
	return out
}
