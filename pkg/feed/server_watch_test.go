// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

// open begins a watch and returns its lines; the channel is closed when the watch has ended.
func (s *served) open(ctx context.Context, caller, target string) (int, chan string) {
	s.t.Helper()
	r := s.request(ctx, http.MethodGet, target, "")
	r.Header.Set(v1alpha1.HeaderPeer, identities(caller).Egress)
	resp, err := s.http.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		defer func() { _ = resp.Body.Close() }()
		for scanner := bufio.NewScanner(resp.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	synctest.Wait()
	return resp.StatusCode, lines
}

func ended(lines chan string) bool {
	for {
		select {
		case _, ok := <-lines:
			if !ok {
				return true
			}
		default:
			return false
		}
	}
}

func TestWatchIsFlushedAndStripped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{})
		ctx, cancel := context.WithCancel(t.Context())
		code, lines := s.open(ctx, here, listPath+"?watch=true&allowWatchBookmarks=true&resourceVersion=104")
		if code != http.StatusOK || len(lines) != 0 {
			t.Fatalf("status %d, %d lines", code, len(lines))
		}
		s.api.put(advertisements, there, "cart", advertisement(there, "shop", "cart"))
		s.api.put(advertisements, here, "copy", advertisement(here, "shop", "copy"))
		synctest.Wait() // no time passes
		if len(lines) != 1 {
			t.Fatalf("%d events at once, want 1", len(lines))
		}
		line := <-lines
		if !strings.HasPrefix(line, `{"type":"ADDED","object":{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisement","metadata":{"name":"cart"`) || strings.Contains(line, "secret") {
			t.Errorf("event %s", line)
		}
		after(time.Minute)
		if line := <-lines; !strings.Contains(line, `"BOOKMARK"`) || !strings.Contains(line, `"resourceVersion":"106"`) {
			t.Errorf("bookmark %s", line)
		}
		s.api.compact()
		synctest.Wait()
		if line := <-lines; !strings.Contains(line, `"ERROR"`) || !strings.Contains(line, "410") {
			t.Errorf("error %s", line)
		}
		if !ended(lines) {
			t.Error("the watch goes on")
		}
		cancel()
	})
}

// The newest watches of a peer are kept: a dead connection is noticed late, its caller is back already.
func TestWatchesAreCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{WatchesPerPeer: 2, Watches: 3})
		ctx, cancel := context.WithCancel(t.Context())
		target := listPath + "?watch=true&resourceVersion=104"
		_, first := s.open(ctx, here, target)
		_, second := s.open(ctx, here, target)
		_, third := s.open(ctx, here, target)
		synctest.Wait()
		if !ended(first) || ended(second) || ended(third) {
			t.Error("the oldest watch should have ended, and no other")
		}
		if code, _ := s.open(ctx, "c3", target); code != http.StatusOK {
			t.Errorf("status %d for another peer", code)
		}
		if code, lines := s.open(ctx, "c3", target); code != http.StatusTooManyRequests {
			t.Errorf("status %d for a watch too many", code)
		} else if line := <-lines; !strings.Contains(line, "try again") {
			t.Errorf("answer %s", line)
		}
		cancel()
		synctest.Wait()
		after(time.Second)
		if s.api.watchers() != 0 {
			t.Errorf("%d watches at the API server after all callers left", s.api.watchers())
		}
		if code, _ := s.open(t.Context(), "c3", target+"&timeoutSeconds=1"); code != http.StatusOK {
			t.Errorf("status %d: places are not given back", code)
		}
		after(2 * time.Second)
	})
}

// A caller that does not read holds nothing for long.
func TestCallerDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{})
		resp, err := s.http.RoundTrip(s.request(t.Context(), http.MethodGet, listPath+"?watch=true&resourceVersion=104", ""))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			big := advertisement(there, "shop", fmt.Sprintf("s%d", i))
			big.ExportedAnnotations = map[string]string{"a": strings.Repeat("x", 10<<10)}
			s.api.put(advertisements, there, fmt.Sprintf("s%d", i), big)
		}
		after(time.Second)
		if s.api.watchers() != 1 {
			t.Fatalf("%d watches", s.api.watchers())
		}
		after(40 * time.Second)
		if s.api.watchers() != 0 {
			t.Errorf("%d watches for a caller that does not read", s.api.watchers())
		}
		_ = resp.Body.Close()
	})
}

func TestCallersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{RequestsPerSecond: 1, Burst: 3})
		codes := map[int]int{}
		for range 5 {
			code, body, header := s.do(s.request(t.Context(), http.MethodGet, listPath, ""))
			codes[code]++
			if code == http.StatusTooManyRequests && (header.Get("Retry-After") != "1" || !strings.Contains(body, "slow down")) {
				t.Errorf("%s %v", body, header)
			}
		}
		if codes[200] != 3 || codes[429] != 2 {
			t.Errorf("answers %v", codes)
		}
		other := s.request(t.Context(), http.MethodGet, listPath, "")
		other.Header.Set(v1alpha1.HeaderPeer, identities("c3").Egress)
		if code, _, _ := s.do(other); code != 200 {
			t.Errorf("%d for a peer that asked once", code)
		}
	})
}

func TestServerEndsWatchesCleanly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &served{t: t, api: newFakeAPI(), cards: newMemorySink(), peers: []string{here}}
		_, api := listen(t, s.api)
		var err error
		s.server, err = feed.NewServer(feed.ServerOptions{
			ClusterID: there, API: &rest.Config{Host: "http://api", Transport: api}, Peers: s.lookup, Cards: s.cards,
		})
		if err != nil {
			t.Fatal(err)
		}
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.server.Serve(ctx, p) }()
		s.http = dialer(p)
		resp, err := s.http.RoundTrip(s.request(t.Context(), http.MethodGet, listPath+"?watch=true", ""))
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 0 {
			t.Errorf("%q, %v: the watch was torn", body, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.http.CloseIdleConnections()
	})
}

func TestServerStart(t *testing.T) {
	server, err := feed.NewServer(feed.ServerOptions{
		ClusterID: there, API: &rest.Config{Host: "http://127.0.0.1:1"}, BindAddress: "256.0.0.1:1",
		Peers: func(string) (v1alpha1.PeerSpec, bool) { return v1alpha1.PeerSpec{}, false }, Cards: newMemorySink(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "--feed-bind-address") {
		t.Errorf("error %v", err)
	}
	if _, err := feed.NewServer(feed.ServerOptions{}); err == nil {
		t.Error("a server without options")
	}
	if server.NeedLeaderElection() {
		t.Error("every replica serves")
	}
}
