// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

var testHop = translate.HopKey{Cluster: "c2", Policy: "high", Address: "10.2.0.1", Port: 31111}

// network is a Dial whose hops can be cut.
type network struct {
	mu    sync.Mutex
	kinds map[translate.HopKey]Kind
	dials map[translate.HopKey]int
}

func (n *network) set(hop translate.HopKey, kind Kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kinds[hop] = kind
}

func (n *network) count(hop translate.HopKey) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials[hop]
}

func (n *network) dial(ctx context.Context, hop translate.HopKey) Result {
	n.mu.Lock()
	kind := n.kinds[hop]
	n.dials[hop]++
	n.mu.Unlock()
	r := Result{Sent: time.Now(), Kind: kind, RTT: 40 * time.Millisecond}
	wait := r.RTT
	if kind == Lost {
		wait = GiveUp
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return r
}

func TestProberFollowsItsTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{kinds: map[translate.HopKey]Kind{}, dials: map[translate.HopKey]int{}}
		changes := make(chan struct{}, 100)
		p := New(n.dial, func() { changes <- struct{}{} })
		other := testHop
		other.Policy, other.Port = "low", 31112
		p.Set([]Target{{HopKey: testHop, Bounds: high}, {HopKey: other, Bounds: high, Found: Report{State: v1alpha1.HopDead, Reason: "Found"}}})
		if got := states(p); got != "high Unknown, low Dead, " {
			t.Fatalf("before it runs: %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Start(ctx) }()
		time.Sleep(4 * time.Second) //nolint:forbidigo // simulated time
		if got := states(p); got != "high Healthy, low Dead, " || n.count(testHop) > 9 {
			t.Errorf("after 4 s: %s with %d handshakes", got, n.count(testHop))
		}
		time.Sleep(4 * time.Second) //nolint:forbidigo // simulated time
		n.set(testHop, Lost)
		time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // simulated time
		if got := states(p); got != "high Dead, low Healthy, " {
			t.Errorf("after the cut: %s", got)
		}
		if len(changes) != 3 {
			t.Errorf("%d changes told, want 3", len(changes))
		}
		p.Set([]Target{{HopKey: other, Bounds: high}})
		synctest.Wait()
		before := n.count(testHop)
		time.Sleep(4 * time.Second) //nolint:forbidigo // simulated time
		if got := states(p); got != "low Healthy, " || n.count(testHop) != before {
			t.Errorf("after it was taken out: %s, %d handshakes more", got, n.count(testHop)-before)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func states(p *Prober) string {
	out := ""
	for _, r := range p.Reports() {
		out += fmt.Sprintf("%s %s, ", r.Policy, r.State)
	}
	return out
}

// TestHandshake is about the real kernel, on loopback.
func TestHandshake(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Logf("no %s here: %v", address, err)
			continue
		}
		hop := translate.HopKey{Address: address, Port: int32(l.Addr().(*net.TCPAddr).Port)}
		if r := Handshake(t.Context(), hop); r.Kind != Answered || r.RTT <= 0 || r.RTT > GiveUp {
			t.Errorf("%s: %+v", address, r)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("something was sent")
		}
		_ = conn.Close()
		_ = l.Close()
		if r := Handshake(t.Context(), hop); r.Kind != Refused {
			t.Errorf("%s closed: %+v", address, r)
		}
	}
}

func TestKindOf(t *testing.T) {
	for err, want := range map[error]Kind{
		syscall.ECONNREFUSED: Refused, syscall.EHOSTUNREACH: Refused, syscall.ENETUNREACH: Refused,
		syscall.ETIMEDOUT: Lost, os.ErrDeadlineExceeded: Lost, context.DeadlineExceeded: Lost,
		syscall.EPERM: Broken, syscall.EMFILE: Broken, syscall.EADDRNOTAVAIL: Broken,
	} {
		if got := kindOf(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}); got != want {
			t.Errorf("%v: kind %d, want %d", err, got, want)
		}
	}
}

func TestReturningIsAVerdict(t *testing.T) {
	if got := (Report{State: healthy, Returning: true}).Verdict(); got != translate.HopReturning {
		t.Errorf("verdict %v", got)
	}
	if got := (Report{State: dead}).Verdict(); got != dead {
		t.Errorf("verdict %v", got)
	}
}

func TestJudge(t *testing.T) {
	report := func(cluster, policy string, state v1alpha1.HopState, broken ...bool) Report {
		return Report{HopKey: translate.HopKey{Cluster: cluster, Policy: policy}, State: state, Broken: len(broken) > 0}
	}
	as := func(r Report, change func(*Report)) Report {
		change(&r)
		return r
	}
	justDied, waiting, answering := func(r *Report) { r.JustDied = true }, func(r *Report) { r.Waiting = true }, func(r *Report) { r.Answering = true }
	for _, tc := range []struct {
		name    string
		reports []Report
		// answers and asked are the clusters whose feed answers, or has just been asked.
		answers, asked string
		// doubted is the cluster that was in doubt before.
		doubted string
		// acts are how many hops' states are acted on.
		acts, doubts, undecided int
	}{
		{name: "all is well", reports: []Report{report("a", "1", healthy), report("b", "1", degraded)}, answers: "ab", acts: 2},
		{name: "one tunnel dead", reports: []Report{report("a", "1", dead), report("a", "2", healthy)}, answers: "a", acts: 2},
		{name: "one is not known yet", reports: []Report{report("a", "1", v1alpha1.HopUnknown), report("a", "2", healthy)}, answers: "a", acts: 2},
		{name: "a cluster is lost", reports: []Report{report("a", "1", dead), report("a", "2", dead), report("b", "1", healthy)}, answers: "b", acts: 3},
		{name: "a cluster is lost, but its feed answers", reports: []Report{report("a", "1", dead), report("a", "2", dead), report("b", "1", healthy)}, answers: "ab", acts: 1, doubts: 1},
		{name: "a cluster is lost, and its feed may still answer", reports: []Report{report("a", "1", dead), report("b", "1", healthy)}, answers: "b", asked: "a", acts: 1, undecided: 1},
		{name: "this cluster is cut off", reports: []Report{report("a", "1", dead), report("b", "1", dead)}, acts: 2},
		{name: "the prober is wrong about one, and says the same of all", reports: []Report{report("a", "1", dead), report("b", "1", dead)}, answers: "b", asked: "a", doubts: 2},
		{name: "nothing can be tried", reports: []Report{report("a", "1", healthy, true), report("a", "2", dead, true)}, doubts: 1},
		{name: "one address cannot be tried", reports: []Report{report("a", "1", healthy, true), report("a", "2", healthy)}, acts: 2},
		{name: "one has just died, the other owes an answer", reports: []Report{as(report("a", "1", dead), justDied), as(report("a", "2", healthy), waiting), report("b", "1", healthy)}, answers: "ab", acts: 1, undecided: 1},
		{name: "one has just died, the other answers", reports: []Report{as(report("a", "1", dead), justDied), report("a", "2", healthy)}, answers: "a", acts: 2},
		{name: "one has just died, one owes an answer, one answers", reports: []Report{as(report("a", "1", dead), justDied), as(report("a", "2", healthy), waiting), report("a", "3", degraded)}, answers: "a", acts: 3},
		{name: "one is dead for long, the other owes an answer", reports: []Report{report("a", "1", dead), as(report("a", "2", healthy), waiting)}, answers: "a", acts: 2},
		{name: "the last one has just died, and no feed is read", reports: []Report{report("a", "1", dead), as(report("a", "2", dead), justDied)}, acts: 2},
		{name: "the only peer is lost", reports: []Report{report("a", "1", dead)}, acts: 1},
		{name: "a cluster comes back, its feed first", reports: []Report{report("a", "1", dead), as(report("a", "2", dead), answering)}, answers: "a", acts: 2},
		{name: "the prober of a doubted cluster comes back", reports: []Report{report("a", "1", dead), as(report("a", "2", dead), answering)}, answers: "a", doubted: "a", doubts: 1},
		{name: "the feed of a doubted cluster may still answer", reports: []Report{report("a", "1", dead), report("b", "1", healthy)}, asked: "a", doubted: "a", acts: 1, doubts: 1},
		{name: "a doubted cluster is lost", reports: []Report{report("a", "1", dead), report("b", "1", healthy)}, doubted: "a", acts: 2},
		{name: "no cluster answers, and one feed may still answer", reports: []Report{report("a", "1", dead), report("b", "1", dead)}, asked: "a", undecided: 2},
		{name: "the prober of a doubted cluster is back", reports: []Report{as(report("a", "1", dead), answering), report("a", "2", healthy)}, answers: "a", doubted: "a", acts: 2},
		{name: "the only peer is lost, but its feed answers", reports: []Report{report("a", "1", dead)}, answers: "a", doubts: 1},
	} {
		got := Judge(tc.reports, map[string]string{tc.doubted: "so it was"}, func(cluster string) Testimony {
			switch {
			case strings.Contains(tc.answers, cluster):
				return FeedAnswers
			case strings.Contains(tc.asked, cluster):
				return FeedAsked
			}
			return FeedSilent
		})
		acts := 0
		for _, r := range tc.reports {
			if got.Acts(r.Cluster) {
				acts++
			}
		}
		if acts != tc.acts || len(got.Doubts) != tc.doubts || len(got.Undecided) != tc.undecided {
			t.Errorf("%s: %d hops are acted on, %+v", tc.name, acts, got)
		}
	}
}

// BenchmarkHandshake is what one measurement costs this process, over loopback.
func BenchmarkHandshake(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	hop := translate.HopKey{Address: "127.0.0.1", Port: int32(l.Addr().(*net.TCPAddr).Port)}
	for b.Loop() {
		if r := Handshake(b.Context(), hop); r.Kind != Answered {
			b.Fatalf("%+v", r)
		}
	}
}
