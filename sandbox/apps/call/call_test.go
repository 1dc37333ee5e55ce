// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/sandbox/apps/wire"
)

// backend is command echo as it is, on free ports.
type backend struct {
	http, tls, grpc, tcp string
	process              *os.Process
}

func startEcho(t *testing.T) backend {
	t.Helper()
	program := filepath.Join(t.TempDir(), "echo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../echo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := backend{http: free(t), tls: free(t), grpc: free(t), tcp: free(t)}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "POD=p-1", "CLUSTER=cluster-2", "DRAIN=10ms",
		"HTTP_ADDR="+b.http, "H2C_ADDR="+free(t), "TLS_ADDR="+b.tls, "GRPC_ADDR="+b.grpc, "TCP_ADDR="+b.tcp)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for _, address := range []string{b.http, b.tls, b.grpc, b.tcp} {
		if err := eventually(t, func() error {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				err = conn.Close()
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// eventually asks until there is no error, for ten seconds at most, and returns the last one.
func eventually(t *testing.T, ask func() error) error {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	over := time.After(10 * time.Second)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-over:
			return err
		case <-t.Context().Done():
			return err
		case <-tick.C:
		}
	}
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestCalls(t *testing.T) {
	b := startEcho(t)
	for _, tc := range []struct {
		args string
		want result
	}{
		{"http http://" + b.http + "/", result{Proto: "HTTP/1.1"}},
		{"http -h2 http://" + b.http + "/", result{Proto: "HTTP/2.0"}},
		{"https https://" + b.tls + "/", result{Proto: "HTTP/1.1", Certificate: wire.CertificateName}},
		{"https -h2 https://" + b.tls + "/", result{Proto: "HTTP/2.0", Certificate: wire.CertificateName}},
		{"grpc -idle 50ms " + b.grpc, result{}},
		{"ws -idle 50ms ws://" + b.http + "/ws", result{}},
		{"tcp -idle 50ms " + b.tcp, result{}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			got := try(t, tc.args)
			tc.want.Pod, tc.want.Cluster, tc.want.Echoed = "p-1", "cluster-2", 3
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// A connection that is held says who answers on it, and when it ends.
func TestHold(t *testing.T) {
	for _, tc := range []struct{ name, flags string }{{"http", ""}, {"tcp", "-tcp "}} {
		t.Run(tc.name, func(t *testing.T) {
			b := startEcho(t)
			target := b.http
			if tc.name == "tcp" {
				target = b.tcp
			}
			if h := try(t, "hold -connections 2 -for 2s "+tc.flags+target).Held; h.Opened != 2 || h.Ended != 0 || h.Answers["p-1"] < 4 || len(h.Answers) != 1 {
				t.Errorf("while it lives: %+v", h)
			}
			time.AfterFunc(2*time.Second, func() { _ = b.process.Kill() })
			if h := try(t, "hold -connections 2 -for 5s "+tc.flags+target).Held; h.Opened != 2 || h.Ended != 2 || h.Answers["p-1"] < 2 {
				t.Errorf("when it is killed: %+v", h)
			}
		})
	}
}

// With -while it holds until a file that it makes is taken away.
func TestHoldWhile(t *testing.T) {
	b := startEcho(t)
	file := filepath.Join(t.TempDir(), "held")
	gone := make(chan error, 1)
	go func() { gone <- eventually(t, func() error { return os.Remove(file) }) }()
	begin := time.Now()
	h := try(t, "hold -connections 2 -for 1m -while "+file+" "+b.http).Held
	if err := <-gone; err != nil || h.Opened != 2 || h.Answers["p-1"] < 2 || time.Since(begin) > 30*time.Second {
		t.Errorf("%v, %+v after %v", err, h, time.Since(begin))
	}
}

// A stream that ends while nothing is said on it is noticed at once.
func TestStreamEndsInSilence(t *testing.T) {
	b := startEcho(t)
	out := result{}
	begin := time.Now()
	time.AfterFunc(3*time.Second, func() { _ = b.process.Kill() })
	err := callGRPC(t.Context(), options{n: 2, idle: time.Minute, target: b.grpc}, &out)
	if err == nil || out.Echoed != 1 || time.Since(begin) > 30*time.Second {
		t.Errorf("error %v, %d messages came back, after %v", err, out.Echoed, time.Since(begin))
	}
}

func TestCallsFail(t *testing.T) {
	nobody := free(t)
	for _, args := range []string{
		"http http://" + nobody + "/", "grpc -timeout 1s " + nobody, "ws ws://" + nobody + "/ws", "tcp " + nobody,
	} {
		fields := strings.Fields(args)
		o, err := parse(fields[0], fields[1:])
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), o.timeout)
		if err := calls()[fields[0]](ctx, o, &result{}); err == nil {
			t.Errorf("%s: no error", args)
		}
		cancel()
	}
	for _, args := range []string{"", "-n 0 x", "-idle -1s x", "a b"} {
		if _, err := parse("tcp", strings.Fields(args)); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func try(t *testing.T, args string) result {
	t.Helper()
	fields := strings.Fields(args)
	o, err := parse(fields[0], fields[1:])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.timeout+o.length)
	defer cancel()
	out := result{}
	if err := calls()[fields[0]](ctx, o, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
