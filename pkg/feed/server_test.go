// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

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
	s.api.put(advertisements, there, "manual", advertisement(there, "secure", "by-hand"))
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
		for _, secret := range []string{"managedFields", "secret\":\"", "annotation", "labels", "copy", "by-hand"} {
			if strings.Contains(body, secret) {
				t.Errorf("%q leaves the cluster: %s", secret, body)
			}
		}
		var list v1alpha1.ServiceAdvertisementList
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Items) != 1 || list.Items[0].Spec.Name != "payment" || list.ResourceVersion == "" {
			t.Errorf("list %+v, %v", list, err)
		}
		query, err := url.Parse(s.api.queries[0])
		if err != nil || query.Query().Get("labelSelector") != "app.kubernetes.io/managed-by=mc-wan,mcw.l7mp.io/source-cluster=c2,!mcw.l7mp.io/manual" || query.Query().Get("limit") != "500" {
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
		"?watch=true": {"watch": "true", "timeoutSeconds": "600"},
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
