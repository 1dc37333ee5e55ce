// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/l7mp/mc-wan/sandbox/apps/wire"
)

func lines(t *testing.T, args ...string) [][]string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	count, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if count != fmt.Sprintln(len(got)) {
		t.Errorf("%d lines, announced as %q", len(got), count)
	}
	return got
}

func TestEveryRequestIsWrittenDown(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 2 {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, `{"cluster":"cluster-2","headers":{%q:["31111"]}}`, http.CanonicalHeaderKey(wire.ArrivedHeader))
	}))
	defer srv.Close()
	got := lines(t, "-protocol", "post", "-rate", "20", "-duration", "2s", srv.URL)
	if len(got) < 4 {
		t.Fatalf("%d lines", len(got))
	}
	failed := 0
	for _, l := range got {
		if l[4] != "" {
			failed++
		} else if l[2] != "cluster-2" || l[3] != "31111" {
			t.Errorf("line %v", l)
		}
	}
	if failed != 1 {
		t.Errorf("%d failed, want 1: %v", failed, got)
	}
}

// What Envoy says of a failed request ends with the reason, which has to be left of it.
func TestExcerpt(t *testing.T) {
	const envoy = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection termination"
	if got := excerpt(envoy); got != envoy {
		t.Errorf("%q", got)
	}
	long := strings.Repeat("x", 500) + envoy
	if got := excerpt(long); len(got) != 200 || !strings.HasPrefix(got, "xxx") || !strings.HasSuffix(got, "reset reason: connection termination") {
		t.Errorf("%q", got)
	}
}

func TestHTTP2IsOneConnection(t *testing.T) {
	var connections sync.Map
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("a request over %s", r.Proto)
		}
		connections.Store(r.RemoteAddr, true)
		fmt.Fprint(w, `{"cluster":"cluster-2"}`)
	}))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	for _, l := range lines(t, "-protocol", "h2", "-rate", "20", "-duration", "2s", srv.URL) {
		if l[2] != "cluster-2" || l[4] != "" {
			t.Errorf("line %v", l)
		}
	}
	var from []any
	connections.Range(func(address, _ any) bool {
		from = append(from, address)
		return true
	})
	if len(from) != 1 {
		t.Errorf("connections %v", from)
	}
}

func TestTCPIsAConnectionARequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "mcwan-echo pod cluster-3\n%s\n", message)
			c.Close()
		}
	}()
	for _, line := range lines(t, "-protocol", "tcp", "-rate", "20", "-duration", "200ms", l.Addr().String()) {
		if line[2] != "cluster-3" || line[4] != "" {
			t.Errorf("line %v", line)
		}
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{}, {"-rate", "0", "x"}, {"-protocol", "udp", "x"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil || strings.Contains(err.Error(), "panic") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
