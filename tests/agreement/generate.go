// SPDX-License-Identifier: Apache-2.0

// Package agreement generates rules and requests for the tests that ask different parties what becomes of them:
// `mcwanctl explain`, Istio's simulation, and real Envoys.
package agreement

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Fields are an object, or part of one, as JSON has it.
type Fields = map[string]any

// Generator makes rules and requests of few words, so that matches overlap and requests hit them.
type Generator struct{ *rand.Rand }

// New makes the same again of the same seed.
func New(seed uint64) Generator { return Generator{rand.New(rand.NewPCG(seed, 1))} }

// Pick returns one of several values, each as likely as the others.
func Pick[T any](g Generator, from ...T) T { return from[g.IntN(len(from))] }

// Sometimes is true in that many cases of a hundred.
func (g Generator) Sometimes(percent int) bool { return g.IntN(100) < percent }

// Service is what rules and requests are about.
type Service struct {
	Name, Namespace string
	// Ports are those that a rule may name.
	Ports []int
	// Valid leaves out rules that an API server refuses.
	Valid bool
}

// Request is a request as `mcwanctl explain --requests` takes it.
type Request struct {
	Service string            `json:"service"`
	Port    int               `json:"port,omitempty"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers,omitempty"`
}

// Request makes one, to the first HTTP port.
func (g Generator) Request(s Service) Request {
	q := Request{
		Service: s.Name + "/" + s.Namespace, Method: Pick(g, "GET", "GET", "GET", "POST", "POST", "HEAD", "DELETE", "OPTIONS"),
		Path: Pick(g, "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/a", "/A", "/c",
			"/x/../a", "/a/./b", "/a/%2e%2E/b", "/../a", "/a/..", "/a/b/.", `/a\b`, "//a", "/a//b", "/a%2Fb", "/a%2f..%2Fb", "/a%5cb", "/%61", "/x//../b"),
		Headers: map[string]string{},
	}
	if g.Sometimes(40) {
		q.Path += Pick(g, "?q=1", "?q=2", "?q=12&r=x", "?r=x", "?q")
	}
	if g.Sometimes(50) {
		q.Headers["x-tier"] = Pick(g, "gold", "silver", "golden")
	}
	if g.Sometimes(30) {
		q.Headers["x-user"] = Pick(g, "ann", "bob")
	}
	return q
}

// Rules makes those of a ServiceImport or ServiceExport of group mc-wan.l7mp.io.
func (g Generator) Rules(s Service) []Fields {
	var out []Fields
	for range 2 + g.IntN(7) {
		out = append(out, g.rule(s))
	}
	return out
}

func (g Generator) rule(s Service) Fields {
	r := Fields{}
	if g.Sometimes(90) {
		var matches []Fields
		for range 1 + g.IntN(3) {
			matches = append(matches, g.match())
		}
		r["matches"] = matches
	}
	if g.Sometimes(10) {
		r["ports"] = []int{Pick(g, s.Ports...)}
	}
	if g.Sometimes(8) {
		redirects := []Fields{{"hostname": "example.org"}, {"scheme": "https"}}
		if !s.Valid {
			redirects = append(redirects, Fields{"path": Fields{"type": "ReplaceFullPath", "replaceFullPath": "/x\ny"}})
		}
		r["filters"] = []Fields{{"type": "RequestRedirect", "requestRedirect": Pick(g, redirects...)}}
	} else {
		r["backendRefs"] = g.backends(s)
	}
	if !s.Valid && r["filters"] == nil && g.Sometimes(10) {
		g.spoil(r)
	}
	return r
}

// spoil makes of a rule one that may not be possible to carry out.
func (g Generator) spoil(r Fields) {
	filter := func(kind, field string, value Fields) { r["filters"] = []Fields{{"type": kind, field: value}} }
	switch g.IntN(8) {
	case 0:
		filter("CORS", "cors", Fields{})
	case 1:
		filter("RequestHeaderModifier", "requestHeaderModifier", Fields{"set": []Fields{{"name": Pick(g, "x-a", "Host", "X-Envoy-a"), "value": Pick(g, "b", "b\nc")}}})
	case 2:
		filter("URLRewrite", "urlRewrite", Fields{"hostname": "example.org"})
	case 3:
		filter("URLRewrite", "urlRewrite", Fields{"path": Fields{"type": "ReplacePrefixMatch", "replacePrefixMatch": Pick(g, "/", "/new")}})
		r["matches"] = []Fields{{"path": Fields{"type": "PathPrefix", "value": Pick(g, "/a", "/"+strings.Repeat("a", 1014+g.IntN(4)))}}, {}}
	case 4:
		r["timeouts"] = Fields{"request": Pick(g, "1s", "25h"), "backendRequest": Pick(g, "1s", "2s")}
	case 5:
		r["retry"] = Fields{"attempts": Pick(g, 2, 11), "codes": []int{Pick(g, 503, 200)}}
	case 6:
		r["retry"] = Fields{"backoff": "1s"}
	case 7:
		r["matches"] = []Fields{{"headers": []Fields{{"name": Pick(g, "Host", "x-mcw-peer", "x-tier"), "value": "gold"}}}}
	}
}

func (g Generator) backends(s Service) []Fields {
	ref := func(policy string) Fields {
		return Fields{"name": fmt.Sprintf("%s-%s-%s", s.Name, s.Namespace, policy), "namespace": "mc-wan", "weight": 1 + g.IntN(4)}
	}
	if g.Sometimes(5) {
		return []Fields{ref("no-such-policy")}
	}
	if g.Sometimes(5) {
		return []Fields{{"name": ref("sd-wan-priority-high")["name"], "weight": 0}, ref(Pick(g, "sd-wan-priority-low", "no-such-policy"))}
	}
	out := []Fields{ref(Pick(g, "sd-wan-priority-high", "sd-wan-priority-low"))}
	if g.Sometimes(20) {
		out = append(out, ref(Pick(g, "sd-wan-priority-high", "sd-wan-priority-low", "no-such-policy")))
	}
	return out
}

func (g Generator) match() Fields {
	m := Fields{}
	switch n := g.IntN(100); {
	case n < 15:
	case n < 35:
		m["path"] = Fields{"type": "Exact", "value": Pick(g, "/", "/a", "/a/", "/a/b", "/b")}
	case n < 75:
		m["path"] = Fields{"type": "PathPrefix", "value": Pick(g, "/", "/a", "/a/", "/a/b", "/ab", "/b")}
	case n < 97:
		m["path"] = Fields{"type": "RegularExpression", "value": Pick(g, "/a.*", "/[ab]", "/a/.+", ".*", "/a|/b", "/a(/b)?", "//a", "/x.*")}
	default:
		m["path"] = Fields{"type": "RegularExpression", "value": Pick(g, "/(unclosed", `/\p{Letter}`)}
	}
	if g.Sometimes(40) {
		m["method"] = Pick(g, "GET", "POST", "HEAD", "OPTIONS")
	}
	var headers []Fields
	if g.Sometimes(30) {
		headers = append(headers, Fields{"name": Pick(g, "X-Tier", "x-tier"), "value": Pick(g, "gold", "silver")})
	} else if g.Sometimes(20) {
		headers = append(headers, Fields{"name": "x-tier", "type": "RegularExpression", "value": Pick(g, "go.*", "gold|silver", "ol")})
	}
	if g.Sometimes(15) {
		headers = append(headers, Fields{"name": "x-user", "value": "ann"})
	}
	if len(headers) > 0 {
		m["headers"] = headers
	}
	if g.Sometimes(25) {
		query := []Fields{{"name": "q", "value": Pick(g, "1", "2")}}
		if g.Sometimes(30) {
			query = []Fields{{"name": "q", "type": "RegularExpression", "value": Pick(g, "1.*", "[0-9]+")}, {"name": "r", "value": "x"}}
		}
		m["queryParams"] = query
	}
	return m
}
