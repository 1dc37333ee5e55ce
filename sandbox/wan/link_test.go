// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// bench is one link of one exit, under a clock that the test moves.
type bench struct {
	exit  *exit
	link  *link
	now   time.Duration
	alarm time.Duration // when the exit wants to be woken
	out   []arrival
}

type arrival struct {
	at   time.Duration
	data string
}

func newBench(s Settings) *bench {
	b := &bench{alarm: never}
	b.exit = newExit(newFrames(), forwarded, func(after time.Duration) { b.alarm = b.now + after })
	b.link = newLink("business", "a", "b", s.withDefaults(), 1)
	b.exit.addLinks(b.link)
	return b
}

func testKey() flowKey {
	return flowKey{src: netip.MustParseAddr("10.11.0.5"), dst: netip.MustParseAddr("10.12.0.7"), port: 31111}
}

func (b *bench) send(data string) reason {
	return b.exit.send(b.now, b.link, testKey(), false, []byte(data))
}

// run moves the clock to a time, with every wake-up on the way.
func (b *bench) run(until time.Duration) {
	for b.alarm <= until {
		b.now, b.alarm = max(b.now, b.alarm), never
		for {
			frames := b.exit.due(b.now, make([]*frame, 0, batch))
			if len(frames) == 0 {
				break
			}
			for _, f := range frames {
				b.out = append(b.out, arrival{at: b.now, data: string(f.data)})
			}
		}
	}
	b.now = until
}

func (b *bench) tally() Tally {
	return Counters{Flows: b.exit.appendFlows(nil)}.Sum(func(Flow) bool { return true })
}

// wantBetween allows for the writer's rest between two wake-ups.
func wantBetween(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high+rest {
		t.Errorf("%s: %v, want %v to %v", what, got, low, high)
	}
}

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

func TestLatency(t *testing.T) {
	b := newBench(Settings{Latency: Duration(ms(20))})
	for i := range 10 {
		b.run(ms(float64(i) * 3))
		b.send(fmt.Sprint(i))
	}
	b.run(ms(100))
	if len(b.out) != 10 {
		t.Fatalf("%d of 10 packets arrived", len(b.out))
	}
	for i, a := range b.out {
		if a.data != fmt.Sprint(i) {
			t.Errorf("packet %s arrived as number %d", a.data, i)
		}
		wantBetween(t, "packet "+a.data+" took", a.at-ms(float64(i)*3), ms(20), ms(20))
	}
}

func TestJitterVariesAndKeepsOrder(t *testing.T) {
	b := newBench(Settings{Latency: Duration(ms(20)), Jitter: Duration(ms(30))})
	const packets = 50000
	for i := range packets {
		b.run(ms(float64(i)))
		b.send(fmt.Sprint(i))
	}
	b.run(ms(packets + 100))
	if len(b.out) != packets {
		t.Fatalf("%d of %d packets arrived", len(b.out), packets)
	}
	var sum, lowest, highest time.Duration = 0, time.Hour, 0
	for i, a := range b.out {
		if a.data != fmt.Sprint(i) {
			t.Fatalf("packet %s arrived as number %d", a.data, i)
		}
		delay := a.at - ms(float64(i))
		sum, lowest, highest = sum+delay, min(lowest, delay), max(highest, delay)
	}
	wantBetween(t, "shortest delay", lowest, ms(20), ms(23))
	wantBetween(t, "longest delay", highest, ms(47), ms(50))
	wantBetween(t, "mean delay", sum/packets, ms(34), ms(36))
}

// TestJitterIsIndependentOfRate guards against jitter that order turns into plain latency when packets are many.
func TestJitterIsIndependentOfRate(t *testing.T) {
	b := newBench(Settings{Latency: Duration(ms(20)), Jitter: Duration(ms(10))})
	const packets = 200000
	var sum time.Duration
	for i := range packets {
		b.run(ms(float64(i) / 20)) // 20,000 a second
		b.send("x")
	}
	b.run(ms(packets/20 + 100))
	for i, a := range b.out {
		sum += a.at - ms(float64(i)/20)
	}
	wantBetween(t, "mean delay at 20,000 packets a second", sum/packets, ms(24.5), ms(25.5))
}

func TestLoss(t *testing.T) {
	counts := make(map[uint64]bool)
	for range 2 {
		b := newBench(Settings{Loss: 0.02})
		for i := range 100000 {
			b.send("x")
			b.run(time.Duration(i) * time.Microsecond)
		}
		b.run(time.Second)
		got := b.tally()
		if got.Dropped.Loss < 1850 || got.Dropped.Loss > 2150 || got.Packets+got.Dropped.Loss != 100000 {
			t.Errorf("2%% of 100000 packets: %d lost, %d arrived", got.Dropped.Loss, got.Packets)
		}
		counts[got.Dropped.Loss] = true
	}
	if len(counts) != 1 {
		t.Errorf("two runs with one seed lost different numbers of packets: %v", counts)
	}
}

func TestRate(t *testing.T) {
	b := newBench(Settings{Rate: 10 * Mbit, Latency: Duration(ms(5))})
	for i := range 20000 { // 1250 bytes every 0.5 ms is 20 Mbit/s, for ten seconds
		b.run(ms(float64(i) / 2))
		b.send(string(make([]byte, 1250)))
	}
	b.run(time.Hour)
	got := b.tally()
	if rate := float64(got.Bytes) * 8 / 10; rate < 9.9e6 || rate > 10.4e6 {
		t.Errorf("10 Mbit/s let %.2f Mbit/s through", rate/1e6)
	}
	if got.Packets+got.Dropped.Queue != 20000 {
		t.Errorf("%d arrived and %d were dropped from the queue, of 20000", got.Packets, got.Dropped.Queue)
	}
	last := b.out[len(b.out)-1].at
	wantBetween(t, "last packet", last, 10*time.Second, 10*time.Second+time.Duration(DefaultQueue)+ms(10))
}

func TestRateLetsASmallBurstPassAtOnce(t *testing.T) {
	b := newBench(Settings{Rate: 100 * Kbit})
	b.run(time.Second)
	b.send(string(make([]byte, 1500)))
	b.send(string(make([]byte, 1500)))
	b.send(string(make([]byte, 1250)))
	b.run(2 * time.Second)
	wantBetween(t, "second packet of a burst", b.out[1].at, time.Second, time.Second)
	wantBetween(t, "third packet, which takes 100 ms", b.out[2].at, time.Second+ms(100), time.Second+ms(100))
}

func TestSlowRateStillCarriesFullPackets(t *testing.T) {
	b := newBench(Settings{Rate: minRate}) // a packet of 1500 bytes takes 1.5 s, more than the queue's 200 ms
	for i := range 100 {
		b.run(time.Duration(i) * ms(100))
		b.send(string(make([]byte, 1500)))
	}
	b.run(time.Hour)
	if got := b.tally().Packets; got < 7 || got > 10 {
		t.Errorf("8 kbit/s carried %d packets of 1500 bytes in 10 s, want 7 to 10", got)
	}
}

func TestChangesReachPacketsUnderWay(t *testing.T) {
	t.Run("shorter latency", func(t *testing.T) {
		b := newBench(Settings{Latency: Duration(10 * time.Second)})
		b.send("slow")
		b.run(ms(100))
		b.exit.setLink(b.now, b.link, func(s Settings) Settings { s.Latency = Duration(ms(20)); return s })
		b.send("fast")
		b.run(time.Second)
		if len(b.out) != 2 || b.out[0].data != "slow" {
			t.Fatalf("arrived: %v, want slow, fast", b.out)
		}
		wantBetween(t, "packet under way", b.out[0].at, ms(120), ms(120))
		wantBetween(t, "new packet", b.out[1].at, ms(120), ms(120))
	})
	t.Run("longer latency", func(t *testing.T) {
		b := newBench(Settings{Latency: Duration(ms(20))})
		b.send("early")
		b.run(ms(10))
		b.exit.setLink(b.now, b.link, func(s Settings) Settings { s.Latency = Duration(ms(500)); return s })
		b.run(time.Second)
		wantBetween(t, "packet under way", b.out[0].at, ms(20), ms(20))
	})
	t.Run("rate lifted", func(t *testing.T) {
		b := newBench(Settings{Rate: minRate, Queue: maxDelay})
		for range 10 {
			b.send(string(make([]byte, 1500)))
		}
		b.run(ms(100))
		b.exit.setLink(b.now, b.link, func(s Settings) Settings { s.Rate = 0; return s })
		b.run(ms(101))
		if len(b.out) != 10 {
			t.Errorf("%d of 10 packets arrived after the rate limit was lifted", len(b.out))
		}
	})
	for _, state := range []State{Blackhole, Refused} {
		t.Run(string(state), func(t *testing.T) {
			b := newBench(Settings{Latency: Duration(ms(20))})
			b.send("lost")
			b.run(ms(10))
			b.exit.setLink(b.now, b.link, func(s Settings) Settings { s.State = state; return s })
			b.send("lost too")
			b.run(time.Second)
			if got := b.tally(); len(b.out) != 0 || got.Packets != 0 || got.Dropped.Blackhole+got.Dropped.Refused != 2 {
				t.Errorf("%d arrived, counted %+v, want both dropped", len(b.out), got)
			}
			b.exit.setLink(b.now, b.link, func(s Settings) Settings { s.State = Up; return s })
			b.send("healed")
			b.run(2 * time.Second)
			if len(b.out) != 1 {
				t.Fatalf("%d packets arrived after the tunnel came up again, want 1", len(b.out))
			}
			wantBetween(t, "first packet after healing", b.out[0].at, time.Second+ms(20), time.Second+ms(20))
		})
	}
}

func TestALinkHoldsABoundedAmount(t *testing.T) {
	b := newBench(Settings{Latency: maxDelay})
	data := string(make([]byte, 60000))
	for range 2000 {
		b.send(data)
	}
	if got := b.tally().Dropped.Queue; got != 2000-maxHeld/60000 {
		t.Errorf("of 2000 packets of 60000 bytes %d were dropped, want %d", got, 2000-maxHeld/60000)
	}
}

func TestAClosedExitGivesUpWhatItHolds(t *testing.T) {
	b := newBench(Settings{Latency: Duration(ms(20))})
	b.send("a")
	b.exit.setClosed(dropSiteDown)
	b.send("b")
	b.run(time.Second)
	if got := b.tally(); len(b.out) != 0 || got.Dropped.SiteDown != 2 {
		t.Errorf("%d arrived, counted %+v, want both dropped because the site is down", len(b.out), got)
	}
}
