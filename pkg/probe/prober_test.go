// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"net"
	"os"
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
		p.Set([]Target{{HopKey: testHop, Bounds: high}, {HopKey: other, Bounds: high, State: v1alpha1.HopDead, Reason: "Found"}})
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

func TestJudge(t *testing.T) {
	report := func(cluster, policy string, state v1alpha1.HopState, broken ...bool) Report {
		return Report{HopKey: translate.HopKey{Cluster: cluster, Policy: policy}, State: state, Broken: len(broken) > 0}
	}
	for _, tc := range []struct {
		name     string
		reports  []Report
		read     string
		verdicts int
		doubts   int
	}{
		{"all is well", []Report{report("a", "1", healthy), report("b", "1", degraded)}, "ab", 2, 0},
		{"one tunnel dead", []Report{report("a", "1", dead), report("a", "2", healthy)}, "a", 2, 0},
		{"unknown is no verdict", []Report{report("a", "1", v1alpha1.HopUnknown), report("a", "2", healthy)}, "a", 1, 0},
		{"a cluster is lost", []Report{report("a", "1", dead), report("a", "2", dead), report("b", "1", healthy)}, "b", 3, 0},
		{"a cluster is lost, but its feed is read", []Report{report("a", "1", dead), report("a", "2", dead), report("b", "1", healthy)}, "ab", 1, 1},
		{"nobody answers", []Report{report("a", "1", dead), report("b", "1", dead)}, "", 0, 2},
		{"nothing can be tried", []Report{report("a", "1", healthy, true), report("a", "2", dead, true)}, "", 0, 1},
		{"one address cannot be tried", []Report{report("a", "1", healthy, true), report("a", "2", healthy)}, "", 2, 0},
		{"the only peer is lost", []Report{report("a", "1", dead)}, "", 1, 0},
	} {
		got := Judge(tc.reports, func(c string) bool { return len(tc.read) > 0 && (c == tc.read[:1] || c == tc.read[len(tc.read)-1:]) })
		if len(got.Verdicts) != tc.verdicts || len(got.Doubts) != tc.doubts {
			t.Errorf("%s: %+v", tc.name, got)
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
