// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const second = time.Second

// played is a case in which the first tunnel breaks at 2 s and heals at 12 s.
func played() *Played {
	return &Played{Ways: []Way{{Tunnel: "business"}}, Broke: 2 * second, Cut: 2 * second, Healing: 12 * second, Healed: 12 * second, End: 20 * second}
}

// everySecond is a request a second for each of two clusters, for so long; tunnel says over which it goes.
func everySecond(length int, tunnel func(at int, cluster string) string) []Request {
	var out []Request
	for at := range length {
		for _, cluster := range []string{"cluster-2", "cluster-3"} {
			out = append(out, Request{Sent: time.Duration(at) * second, Took: 10 * time.Millisecond, Cluster: cluster, Tunnel: tunnel(at, cluster)})
		}
	}
	return out
}

// A tunnel that traffic leaves, comes back to, and leaves again: what its bar bounds.
func TestBars(t *testing.T) {
	p := played()
	c := CellOf(GET, everySecond(20, func(at int, _ string) string {
		if (at >= 4 && at < 6) || (at >= 7 && at < 15) {
			return "default"
		}
		return "business"
	}), p)
	if !c.Left || c.Returns != 1 || c.Moved != 4*second || c.Back != 3*second {
		t.Fatalf("left %t, returns %d, moved %s, back %s", c.Left, c.Returns, c.Moved, c.Back)
	}
	for _, tc := range []struct {
		bar  Bar
		want int
	}{
		{Bar{Moved: 5 * second, Back: 3 * second, Returns: 1, Leaves: true}, 0},
		{Bar{Moved: 3 * second}, 1},
		{Bar{Back: 2 * second}, 1},
		{Bar{Moved: 3 * second, Back: 2 * second}.Untimed(), 0},
	} {
		if got := tc.bar.Breaches(p, &c); len(got) != tc.want {
			t.Errorf("%+v: %v", tc.bar, got)
		}
	}
	c.Returns, c.Back = 2, 0
	if got := (Bar{Returns: 1, Back: second}).Breaches(p, &c); len(got) != 2 {
		t.Errorf("two returns, and none after it healed: %v", got)
	}
	c.Left = false
	for _, b := range []Bar{{Leaves: true}, {Moved: second}, Bar{Leaves: true}.Untimed()} {
		if got := b.Breaches(p, &c); !slices.Contains(got, "traffic stayed") {
			t.Errorf("traffic stayed, %+v: %v", b, got)
		}
	}
}

// A case in which nothing was on what broke shows nothing.
func TestBrokeElsewhere(t *testing.T) {
	p := played()
	for tunnel, breaches := range map[string]int{p.Ways[0].Tunnel: 0, "another": 1} {
		c := CellOf(GET, []Request{{Sent: second, Tunnel: tunnel}, {Sent: 9 * second, Tunnel: "another"}}, p)
		if got := (Bar{}).Breaches(p, &c); len(got) != breaches {
			t.Errorf("requests were on %s: %v", tunnel, got)
		}
	}
	p.Ways = nil
	c := CellOf(GET, []Request{{Sent: second, Tunnel: "another"}}, p)
	if got := (Bar{}).Breaches(p, &c); len(got) > 0 {
		t.Errorf("nothing breaks that requests could take: %v", got)
	}
}

// What is not repeated may fail by what the break cuts off, and neither earlier nor later.
func TestCutOff(t *testing.T) {
	p := played()
	p.Cut = 7 * second // what should notice it broke first
	bar := Bar{Case: "refused", CutOff: 3 * second, Slowest: time.Millisecond}
	for _, tc := range []struct {
		sent, took time.Duration
		fails      bool
	}{
		{sent: second, took: second, fails: true},
		{sent: 3 * second, took: second, fails: true}, // nothing on the way was broken
		{sent: 6500 * time.Millisecond, took: second},
		{sent: 7 * second, took: 10 * second},
		{sent: 10 * second, took: second},
		{sent: 10100 * time.Millisecond, took: second, fails: true},
		{sent: 14 * second, took: second, fails: true}, // it had healed
	} {
		c := CellOf(POST, []Request{{Sent: tc.sent, Took: tc.took, Err: "reset"}, {Sent: second, Took: second, Tunnel: p.Ways[0].Tunnel}}, p)
		if got := bar.Breaches(p, &c); len(got) > 0 != tc.fails {
			t.Errorf("POST sent at %s failed after %s: %v", tc.sent, tc.took, got)
		}
		if got := bar.Untimed().Breaches(p, &c); len(got) > 0 != tc.fails {
			t.Errorf("untimed, POST sent at %s failed after %s: %v", tc.sent, tc.took, got)
		}
		c.Protocol = PUT
		if got := bar.Breaches(p, &c); len(got) != 2 {
			t.Errorf("a PUT failed, and one was slow: %v", got)
		}
		c.Protocol = TCP
		spared := bar
		spared.Spared = []Protocol{TCP}
		if got := append(spared.Breaches(p, &c), Bar{}.Breaches(p, &c)...); len(got) > 0 {
			t.Errorf("TCP is spared, or not held to anything: %v", got)
		}
		spared.All = true
		if got := spared.Breaches(p, &c); len(got) != 2 {
			t.Errorf("nothing may fail: %v", got)
		}
	}
}

func TestBarsSayWhomTheyHold(t *testing.T) {
	judged := func(b Bar) string {
		var out []string
		for _, p := range Protocols() {
			if b.Judges(p) {
				out = append(out, string(p))
			}
		}
		return strings.Join(out, " ")
	}
	for _, tc := range []struct {
		bar       Bar
		who, text string
	}{
		{Bar{}, "get h2 put", "none fails"},
		{Bar{All: true, Leaves: true}, "get h2 put post grpc tcp", "none fails, traffic leaves"},
		{Bar{CutOff: 3 * second, Slowest: second}, "get h2 put post grpc tcp", "none fails (of post, grpc, tcp: none sent later than 3s after it broke), slowest 1s"},
		{Bar{CutOff: 3 * second, Spared: []Protocol{TCP}}, "get h2 put post grpc", "none fails (of post, grpc: none sent later than 3s after it broke)"},
		{Bar{Moved: second, Back: second, Returns: 1}, "get h2 put", "none fails, moved within 1s, back within 1s, comes back 1 time at most"},
		{Bar{Stays: 0.5}, "get h2 put", "none fails, after 1m0s at most 50 % stay"},
	} {
		if got := judged(tc.bar); got != tc.who {
			t.Errorf("%+v holds %s, want %s", tc.bar, got, tc.who)
		}
		if got := tc.bar.String(); got != tc.text {
			t.Errorf("%q, want %q", got, tc.text)
		}
	}
}

// Two clusters share the requests: what traffic left is told by those that went there, whichever cluster answers most.
func TestLeftFollowsWhatBroke(t *testing.T) {
	business := func(int, string) string { return "business" }
	moved := func(at int, cluster string) string {
		if at >= 4 && at < 13 && cluster == "cluster-2" {
			return "default"
		}
		return "business"
	}
	for name, tc := range map[string]struct {
		ways     []Way
		requests []Request
		left     bool
		moved    time.Duration
		back     time.Duration
	}{
		"a cluster's tunnel":            {[]Way{{Tunnel: "business", Cluster: "cluster-2"}}, everySecond(20, moved), true, second, second},
		"the tunnel, of which half did": {[]Way{{Tunnel: "business"}}, everySecond(20, moved), false, 0, 0},
		"a cluster that serves on":      {[]Way{{Cluster: "cluster-2"}}, everySecond(20, business), false, 0, 0},
		"a cluster that does not": {[]Way{{Cluster: "cluster-2"}}, slices.DeleteFunc(everySecond(20, business), func(r Request) bool {
			return r.Cluster == "cluster-2" && r.Sent >= 3*second && r.Sent < 14*second
		}), true, 0, 2 * second},
		"a cluster that never served": {[]Way{{Cluster: "cluster-4"}}, everySecond(20, business), false, 0, 0},
		"nothing":                     {nil, everySecond(20, business), false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := played()
			p.Ways = tc.ways
			c := CellOf(GET, tc.requests, p)
			if c.Left != tc.left || c.Moved != tc.moved || c.Back != tc.back {
				t.Errorf("left %t, moved %s, back %s; before %s, during %s", c.Left, c.Moved, c.Back, c.Before, c.During)
			}
		})
	}
}

func TestStayed(t *testing.T) {
	p := played()
	p.Healing, p.Healed, p.End = 182*second, 182*second, 190*second
	c := CellOf(GET, everySecond(190, func(at int, _ string) string {
		if at >= 92 && at < 182 {
			return "default"
		}
		return "business"
	}), p)
	if c.Stayed != 0.25 {
		t.Fatalf("%v stayed", c.Stayed)
	}
	if got := (Bar{Stays: 0.2}).Breaches(p, &c); len(got) != 1 {
		t.Errorf("a quarter stayed: %v", got)
	}
	if got := append((Bar{Stays: 0.3}).Breaches(p, &c), Bar{Stays: 0.2}.Untimed().Breaches(p, &c)...); len(got) > 0 {
		t.Errorf("a quarter stayed: %v", got)
	}
}

func TestShares(t *testing.T) {
	for _, tc := range []struct {
		tunnels, clusters map[string]int
		want              string
	}{
		{nil, nil, "no answers"},
		{map[string]int{"business": 100}, map[string]int{"cluster-3": 49, "cluster-2": 51}, "business; cluster-2 51 %, cluster-3 49 %"},
		{map[string]int{"business": 52, "default": 48}, map[string]int{"cluster-2": 100}, "business 52 %, default 48 %; cluster-2 100 %"},
		{map[string]int{"business": 95, "default": 5}, map[string]int{"cluster-2": 100}, "business; cluster-2 100 %"},
		{map[string]int{"": 60, NoTunnel: 40}, map[string]int{"cluster-2": 1, "cluster-3": 299}, "unknown 60 %, none 40 %; cluster-2 <1 %, cluster-3 100 %"},
	} {
		s := Shares{Tunnels: tc.tunnels, Clusters: tc.clusters}
		if got := s.String(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
	s := sharesOf(everySecond(4, func(at int, _ string) string { return fmt.Sprint(at) }), second, 3*second)
	if s.Tunnel("1") != 0.5 || s.Tunnel("0") != 0 || s.Cluster("cluster-2") != 0.5 || (Shares{}).Cluster("cluster-2") != 0 {
		t.Errorf("%+v", s)
	}
}

func TestBarsAreOfOneCaseEach(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Bars() {
		if seen[b.Case] || (b.All && b.CutOff > 0) {
			t.Errorf("bar %+v", b)
		}
		seen[b.Case] = true
	}
}
