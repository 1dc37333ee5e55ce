// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

const (
	apiPath  = "/apis/mcw.l7mp.io/v1alpha1/namespaces/mc-wan/"
	listPath = apiPath + advertisements
)

// served is a feed server over a fake API server, called without gateways.
type served struct {
	t      *testing.T
	api    *fakeAPI
	cards  *memorySink
	server *feed.Server
	http   *http.Transport
	peers  []string // who may call
}

func serve(t *testing.T, limits feed.ServerLimits) *served {
	t.Helper()
	s := &served{t: t, api: newFakeAPI(), cards: newMemorySink(), peers: []string{here, "c3"}}
	s.api.put(advertisements, there, "payment", advertisement(there, "secure", "payment"))
	s.api.put(advertisements, here, "copy", advertisement(here, "secure", "copy"))
	s.api.put(cards, there, there, cardSpec(there, 1, 1))
	_, api := listen(t, s.api)
	server, err := feed.NewServer(feed.ServerOptions{
		ClusterID: there, API: &rest.Config{Host: "http://api", Transport: api, BearerToken: "own-token"},
		Peers: s.lookup, Cards: s.cards, Limits: limits, Log: testLog(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.server, s.http = server, serveFeed(t, server)
	return s
}

func (s *served) lookup(identity string) (v1alpha1.PeerSpec, bool) {
	for _, id := range s.peers {
		if identity == identities(id).Egress {
			return peerSpec(id), true
		}
	}
	return v1alpha1.PeerSpec{}, false
}

func (s *served) request(ctx context.Context, method, target, body string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://feed"+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set(v1alpha1.HeaderPeer, identities(here).Egress)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (s *served) do(r *http.Request) (int, string, http.Header) {
	s.t.Helper()
	resp, err := s.http.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestServedListIsOursAndStripped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{})
		r := s.request(t.Context(), http.MethodGet, listPath, "")
		r.Header.Set("Authorization", "Bearer stolen")
		r.Header.Set("Impersonate-User", "system:admin")
		r.Header.Set("Impersonate-Group", "system:masters")
		r.Header.Set("Cookie", "a=b")
		r.Header.Set("X-Forwarded-For", "1.2.3.4")
		code, body, header := s.do(r)
		if code != http.StatusOK || header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %s %v", code, body, header)
		}
		for _, secret := range []string{"managedFields", "secret\":\"", "annotation", "labels", "copy"} {
			if strings.Contains(body, secret) {
				t.Errorf("%q leaves the cluster: %s", secret, body)
			}
		}
		var list v1alpha1.ServiceAdvertisementList
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Items) != 1 || list.Items[0].Spec.Name != "payment" || list.ResourceVersion == "" {
			t.Errorf("list %+v, %v", list, err)
		}
		query, err := url.Parse(s.api.queries[0])
		if err != nil || query.Query().Get("labelSelector") != v1alpha1.LabelSourceCluster+"="+there || query.Query().Get("limit") != "500" {
			t.Errorf("asked the API server for %s", s.api.queries[0])
		}
		got := s.api.headers[0]
		if got.Get("Authorization") != "Bearer own-token" {
			t.Errorf("Authorization %q", got.Get("Authorization"))
		}
		for _, name := range []string{"Impersonate-User", "Impersonate-Group", "Cookie", "X-Forwarded-For", v1alpha1.HeaderPeer} {
			if got.Get(name) != "" {
				t.Errorf("header %s of the caller reached the API server", name)
			}
		}
	})
}

func TestNotServed(t *testing.T) {
	get := func(target string) func(*served) *http.Request {
		return func(s *served) *http.Request { return s.request(s.t.Context(), http.MethodGet, target, "") }
	}
	with := func(target, name, value string) func(*served) *http.Request {
		return func(s *served) *http.Request {
			r := s.request(s.t.Context(), http.MethodGet, target, "")
			r.Header.Set(name, value)
			return r
		}
	}
	send := func(method, target, body string) func(*served) *http.Request {
		return func(s *served) *http.Request { return s.request(s.t.Context(), method, target, body) }
	}
	rows := []struct {
		name    string
		request func(*served) *http.Request
		code    int
		message string
	}{
		{"another path", get("/"), 404, "a feed has"},
		{"the version of the API server", get("/version"), 404, ""},
		{"metrics", get("/metrics"), 404, ""},
		{"secrets", get("/api/v1/namespaces/mc-wan/secrets"), 404, ""},
		{"peers", get(apiPath + "peers"), 404, ""},
		{"one object", get(listPath + "/payment"), 404, ""},
		{"all namespaces", get("/apis/mcw.l7mp.io/v1alpha1/serviceadvertisements"), 404, ""},
		{"another namespace", get("/apis/mcw.l7mp.io/v1alpha1/namespaces/default/serviceadvertisements"), 404, ""},
		{"the old watch path", get("/apis/mcw.l7mp.io/v1alpha1/watch/namespaces/mc-wan/serviceadvertisements"), 404, ""},
		{"dots", get(apiPath + "../mc-wan/secrets"), 404, ""},
		{"encoded dots", get(apiPath + "%2e%2e/secrets"), 404, ""},
		{"an encoded slash", get(listPath + "%2fpayment"), 404, ""},
		{"a trailing slash", get(listPath + "/"), 404, ""},
		{"POST", send(http.MethodPost, listPath, "{}"), 405, "only GET"},
		{"DELETE", send(http.MethodDelete, listPath, ""), 405, "only GET"},
		{"HEAD", send(http.MethodHead, listPath, ""), 405, ""},
		{"GET of an announcement", get("/announce"), 405, "only POST"},
		{"POST of health", send(http.MethodPost, "/healthz", ""), 405, "only GET"},
		{"a body", send(http.MethodGet, listPath, "{}"), 413, "no body"},
		{"streamed lists", get(listPath + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"), 400, "sendInitialEvents"},
		{"a label selector", get(listPath + "?labelSelector=x"), 400, "labelSelector"},
		{"a field selector", get(listPath + "?fieldSelector=x"), 400, "fieldSelector"},
		{"pretty", get(listPath + "?pretty=true"), 400, "pretty"},
		{"a parameter twice", get(listPath + "?watch=false&watch=true"), 400, "once"},
		{"a long token", get(listPath + "?continue=" + strings.Repeat("x", 5000)), 400, "4096 bytes"},
		{"a negative limit", get(listPath + "?limit=-1"), 400, "limit"},
		{"a limit beyond numbers", get(listPath + "?limit=99999999999999999999"), 400, "limit"},
		{"watch=maybe", get(listPath + "?watch=maybe"), 400, "watch"},
		{"protobuf", with(listPath, "Accept", "application/vnd.kubernetes.protobuf"), 406, "application/json"},
		{"a table", with(listPath, "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), 406, "application/json"},
		{"an upgrade", with(listPath, "Upgrade", "websocket"), 400, "upgrades"},
		{"no caller", with(listPath, v1alpha1.HeaderPeer, ""), 403, "mcwanctl card"},
		{"an unknown caller", with(listPath, v1alpha1.HeaderPeer, identities("c9").Egress), 403, "mcwanctl card"},
		{"an ingress gateway calls", with(listPath, v1alpha1.HeaderPeer, identities(here).Ingress), 403, "mcwanctl card"},
		{"two identities in one", with(listPath, v1alpha1.HeaderPeer, identities(here).Egress+","+identities("c9").Egress), 403, ""},
		{"two headers", func(s *served) *http.Request {
			r := s.request(s.t.Context(), http.MethodGet, listPath, "")
			r.Header.Add(v1alpha1.HeaderPeer, identities("c9").Egress)
			return r
		}, 403, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, feed.ServerLimits{})
				code, body, header := s.do(row.request(s))
				if code != row.code || !strings.Contains(body, row.message) {
					t.Errorf("%d %s, want %d with %q", code, body, row.code, row.message)
				}
				var status metav1.Status
				if row.name != "HEAD" {
					if err := json.Unmarshal([]byte(body), &status); err != nil || status.Kind != "Status" || int(status.Code) != code || status.Message == "" || status.Reason == "" {
						t.Errorf("no Status: %s", body)
					}
				}
				if header.Get("Content-Type") != "application/json" {
					t.Errorf("content type %q", header.Get("Content-Type"))
				}
				if len(s.api.queries) != 0 {
					t.Errorf("the API server was asked for %v", s.api.queries)
				}
			})
		})
	}
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{})
		r := s.request(t.Context(), http.MethodGet, "/healthz", "")
		r.Header.Del(v1alpha1.HeaderPeer)
		if code, body, _ := s.do(r); code != 200 || body != "ok\n" {
			t.Errorf("%d %q", code, body)
		}
	})
}

func TestParametersAreBounded(t *testing.T) {
	rows := map[string]map[string]string{
		"":                         {"limit": "500", "watch": "", "timeoutSeconds": ""},
		"?limit=20&continue=110/a": {"limit": "20", "continue": "110/a"},
		"?limit=100000":            {"limit": "500"},
		"?limit=0&resourceVersion=7&resourceVersionMatch=NotOlderThan": {"limit": "500", "resourceVersion": "7", "resourceVersionMatch": "NotOlderThan"},
		"?watch=1&allowWatchBookmarks=1&timeoutSeconds=7":              {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "7", "limit": ""},
		"?watch=true":                                    {"watch": "true", "timeoutSeconds": "600"},
		"?watch=true&timeoutSeconds=9000000000000000000": {"timeoutSeconds": "600"},
		"?watch=false&allowWatchBookmarks=true":          {"watch": "", "allowWatchBookmarks": "", "limit": "500"},
	}
	for target, want := range rows {
		t.Run(target, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, feed.ServerLimits{})
				_, _, _ = s.do(s.request(t.Context(), http.MethodGet, listPath+target, ""))
				asked, err := url.Parse(s.api.queries[0])
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range want {
					if got := asked.Query().Get(name); got != value {
						t.Errorf("%s=%q, want %q", name, got, value)
					}
				}
			})
		})
	}
}

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
		code, lines := s.open(ctx, here, listPath+"?watch=true&allowWatchBookmarks=true&resourceVersion=103")
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
		if line := <-lines; !strings.Contains(line, `"BOOKMARK"`) || !strings.Contains(line, `"resourceVersion":"105"`) {
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
		target := listPath + "?watch=true&resourceVersion=103"
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
		if s.api.watching != 0 {
			t.Errorf("%d watches at the API server after all callers left", s.api.watching)
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
		resp, err := s.http.RoundTrip(s.request(t.Context(), http.MethodGet, listPath+"?watch=true&resourceVersion=103", ""))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			big := advertisement(there, "shop", fmt.Sprintf("s%d", i))
			big.ExportedAnnotations = map[string]string{"a": strings.Repeat("x", 10<<10)}
			s.api.put(advertisements, there, fmt.Sprintf("s%d", i), big)
		}
		after(time.Second)
		if s.api.watching != 1 {
			t.Fatalf("%d watches", s.api.watching)
		}
		after(40 * time.Second)
		if s.api.watching != 0 {
			t.Errorf("%d watches for a caller that does not read", s.api.watching)
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

func announcement(change ...func(*v1alpha1.ClusterAdvertisementSpec)) string {
	spec := cardSpec(here, 5, 0)
	for _, f := range change {
		f(&spec)
	}
	data, _ := json.Marshal(feed.CardCopy(&spec))
	return string(data)
}

func TestAnnounce(t *testing.T) {
	rows := []struct {
		name    string
		body    string
		known   int64 // generation of the card in use; 0: none
		code    int
		message string
		used    int64
	}{
		{"the first card", announcement(), 0, 200, "in use", 5},
		{"a newer card", announcement(), 4, 200, "in use", 5},
		{"the same card", announcement(), 5, 200, "already", 5},
		{"an older card", announcement(), 6, 200, "already", 6},
		{"another cluster's card", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterID = "c3" }), 4, 422, "speaks only for itself", 4},
		{"our own card", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterID = there }), 4, 422, "speaks only for itself", 4},
		{"other identities", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.Identities = identities("c3") }), 4, 422, "mcwanctl card", 4},
		{"another uid", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterUID = "new" }), 4, 409, "another clusterUID", 4},
		{"a ClusterIP", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.Addresses = []string{"10.96.0.1"} }), 4, 422, "belongs to this cluster", 4},
		{"a link-local address", announcement(func(c *v1alpha1.ClusterAdvertisementSpec) { c.Addresses = []string{"169.254.169.254"} }), 4, 422, "link-local", 4},
		{"an advertisement", `{"kind":"ServiceAdvertisement","spec":{}}`, 4, 400, "ClusterAdvertisement", 4},
		{"no JSON", "x", 4, 400, "ClusterAdvertisement", 4},
		{"wrong types", `{"kind":"ClusterAdvertisement","spec":{"generation":"x"}}`, 4, 400, "generation", 4},
		{"no spec", `{"kind":"ClusterAdvertisement"}`, 4, 400, "spec", 4},
		{"too big", `{"kind":"` + strings.Repeat("x", 3<<20) + `"}`, 4, 413, "2097152 bytes", 4},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cards := newMemorySink()
			if row.known > 0 {
				known := cardSpec(here, row.known, 0)
				cards.cards[here] = feed.CardCopy(&known)
			}
			server, err := feed.NewServer(feed.ServerOptions{
				ClusterID: there, API: &rest.Config{Host: "http://127.0.0.1:1"}, Cards: cards,
				Peers:      func(id string) (v1alpha1.PeerSpec, bool) { return peerSpec(here), id == identities(here).Egress },
				OwnAddress: isClusterIP,
			})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, "/announce", bytes.NewBufferString(row.body))
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
			r.Header.Set(v1alpha1.HeaderPeer, identities(here).Egress)
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			if w.Code != row.code || !strings.Contains(w.Body.String(), row.message) {
				t.Errorf("%d %s, want %d with %q", w.Code, w.Body, row.code, row.message)
			}
			got := int64(0)
			if c := cards.cards[here]; c != nil {
				got = c.Spec.Generation
			}
			if got != row.used || len(cards.cards) > 1 {
				t.Errorf("generation %d in use, want %d", got, row.used)
			}
		})
	}
}

func TestAnnounceNeedsJSONAndACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, feed.ServerLimits{})
		r := s.request(t.Context(), http.MethodPost, "/announce", announcement())
		r.Header.Set("Content-Type", "text/plain")
		if code, body, _ := s.do(r); code != http.StatusUnsupportedMediaType {
			t.Errorf("%d %s", code, body)
		}
		r = s.request(t.Context(), http.MethodPost, "/announce", announcement())
		r.Header.Set(v1alpha1.HeaderPeer, identities("c9").Egress)
		if code, body, _ := s.do(r); code != http.StatusForbidden {
			t.Errorf("%d %s", code, body)
		}
		if len(s.cards.cards) != 0 {
			t.Errorf("cards %v", s.cards.cards)
		}
	})
}
