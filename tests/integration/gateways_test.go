// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// fault is what is wrong on the way from one cluster to another.
type fault string

const (
	works fault = ""
	// cut: no tunnel leads there.
	cut fault = "cut"
	// turnedAway: the peer's ingress gateway does not know the caller.
	turnedAway fault = "turned away"
	// otherIdentity: what answers there is not the pinned identity.
	otherIdentity fault = "other identity"
	// halfway: every answer ends in the middle. What is being watched is listed anew.
	halfway fault = "halfway"
	// firstPage: lists come an item at a time, and the first page is the only one that arrives whole. What is being watched
	// is listed anew.
	firstPage fault = "first page"
	// garbled: something answers, but not in our language.
	garbled fault = "garbled"
)

// gateways play the egress and ingress gateways of all clusters: they lead /peers/<cluster>/ to that cluster's feed, and
// tell it who calls.
type gateways struct {
	mu      sync.Mutex
	feeds   map[string]string
	callers map[string]string
	faults  map[[2]string]fault
	// liars change what a peer answers, lists and single objects but not watches; nil leaves it as it is.
	liars map[[2]string]liar
	// expired are the kinds whose watches were ended as too old since the last lie began, so that they are listed anew.
	expired map[[2]string]map[string]bool
	open    map[*passage]bool
	calls   map[[2]string]int
	// standby counts calls that keep connections open, by the cluster that makes them and the path.
	standby map[[2]string]int
}

func newGateways() *gateways {
	return &gateways{
		feeds: map[string]string{}, callers: map[string]string{}, faults: map[[2]string]fault{}, liars: map[[2]string]liar{}, expired: map[[2]string]map[string]bool{},
		open: map[*passage]bool{}, calls: map[[2]string]int{}, standby: map[[2]string]int{},
	}
}

// liar makes another answer out of the answer to a request.
type liar func(path string, answer []byte) []byte

// lie has answers on the way from one cluster to another changed, or left alone again. What is being watched is listed anew.
func (g *gateways) lie(from, to string, l liar) {
	g.mu.Lock()
	g.liars[[2]string{from, to}], g.expired[[2]string{from, to}] = l, map[string]bool{}
	g.mu.Unlock()
	g.set(from, to, works) // calls under way end
}

// passage is a call under way.
type passage struct {
	way    [2]string
	cancel context.CancelFunc
}

// connect says where a cluster's feed is served and as whom its egress gateway calls.
func (g *gateways) connect(id, feed, egressIdentity string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.feeds[id], g.callers[id] = feed, egressIdentity
}

// set makes a fault on the way from one cluster to another, or ends it; calls under way end.
func (g *gateways) set(from, to string, f fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	way := [2]string{from, to}
	g.faults[way] = f
	if f == halfway || f == firstPage {
		g.expired[way] = map[string]bool{}
	}
	for p := range g.open {
		if p.way == way {
			p.cancel()
		}
	}
}

// count is how many calls went from one cluster to another.
func (g *gateways) count(from, to string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[[2]string{from, to}]
}

// standbyCalls is how many calls a cluster has made to keep connections open, over one path or, if it is empty, all.
func (g *gateways) standbyCalls(from, path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for of, calls := range g.standby {
		if of[0] == from && (path == "" || of[1] == path) {
			n += calls
		}
	}
	return n
}

func baseURL(clusterID string) string { return "http://egress/peers/" + clusterID }

// egress is the egress gateway of a cluster.
func (g *gateways) egress(id string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) { return g.carry(id, r) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (g *gateways) carry(from string, r *http.Request) (*http.Response, error) {
	if path, ok := strings.CutPrefix(r.URL.Path, translate.StandbyURI("")); ok {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.standby[[2]string{from, path}]++
		return answer(r, http.StatusNoContent, ""), nil
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/peers/")
	to, path, _ := strings.Cut(rest, "/")
	if !ok {
		return answer(r, http.StatusNotFound, ""), nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	p := &passage{way: [2]string{from, to}, cancel: cancel}
	g.mu.Lock()
	f, feed, caller, liar := g.faults[p.way], g.feeds[to], g.callers[from], g.liars[p.way]
	g.open[p] = true
	g.calls[p.way]++
	kind := path[strings.LastIndex(path, "/")+1:]
	expire := false
	if told := g.expired[p.way]; told != nil && r.URL.Query().Get("watch") != "" && !told[kind] {
		told[kind], expire = true, true
	}
	g.mu.Unlock()
	end := func() {
		cancel()
		g.mu.Lock()
		delete(g.open, p)
		g.mu.Unlock()
	}
	switch {
	case expire:
		end()
		resp := answer(r, http.StatusGone, `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}`)
		resp.Header.Set("Content-Type", "application/json")
		return resp, nil
	case (f == works || f == halfway || f == firstPage) && feed != "":
		r := r.Clone(ctx)
		if f == firstPage && r.URL.Query().Get("watch") == "" {
			onePerPage(r)
		}
		if f == halfway || f == firstPage && r.URL.Query().Get("continue") != "" {
			liar = func(_ string, answer []byte) []byte { return answer[:len(answer)/2] }
		}
		resp, err := g.forward(r, feed, "/"+path, caller, end)
		if err == nil && liar != nil && resp.StatusCode == http.StatusOK && r.Method == http.MethodGet && r.URL.Query().Get("watch") == "" {
			return tell(resp, path, liar)
		}
		return resp, err
	case f == works:
		end()
		return answer(r, http.StatusNotFound, "no route"), nil
	}
	end()
	return fails(r, f)
}

// onePerPage has a list answered in pages of one item.
func onePerPage(r *http.Request) {
	query := r.URL.Query()
	if query.Has("limit") {
		query.Set("limit", "1")
		r.URL.RawQuery = query.Encode()
	}
}

// forward makes the call that the peer's ingress gateway makes.
func (g *gateways) forward(r *http.Request, feed, path, caller string, end func()) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host, r.URL.Path, r.RequestURI = "http", feed, path, ""
	r.Header = r.Header.Clone()
	r.Header.Set("x-mcw-peer", caller)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		end()
		return answer(r, http.StatusServiceUnavailable, fmt.Sprintf("upstream connect error: %v", err)), nil
	}
	resp.Body = &body{ReadCloser: resp.Body, end: end}
	return resp, nil
}

// tell is a response as a liar has it.
func tell(resp *http.Response, path string, l liar) (*http.Response, error) {
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	raw = l(path, raw)
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Body = int64(len(raw)), io.NopCloser(bytes.NewReader(raw))
	return resp, nil
}

type body struct {
	io.ReadCloser
	end func()
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// fails is what the own egress gateway makes of a fault.
func fails(r *http.Request, f fault) (*http.Response, error) {
	switch f {
	case turnedAway:
		return answer(r, http.StatusForbidden, "RBAC: access denied"), nil
	case otherIdentity:
		return answer(r, http.StatusServiceUnavailable, "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, "+
			"transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify SAN list:TLS_error_end"), nil
	case garbled:
		return answer(r, http.StatusOK, "<html>captive portal</html>"), nil
	case cut:
		return answer(r, http.StatusServiceUnavailable, "no healthy upstream"), nil
	}
	return nil, errors.New("unknown fault")
}

func answer(r *http.Request, code int, text string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": []string{"text/plain"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r,
	}
}
