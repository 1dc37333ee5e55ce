// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

// matches reads matches, one rule each.
func matches(t *testing.T, texts ...string) []mcwanv1alpha1.HTTPRule {
	t.Helper()
	var out []mcwanv1alpha1.HTTPRule
	for _, text := range texts {
		var m gatewayv1.HTTPRouteMatch
		if err := yaml.UnmarshalStrict([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, mcwanv1alpha1.HTTPRule{Matches: []gatewayv1.HTTPRouteMatch{m}})
	}
	return out
}

// The order of HTTPRouteRule.matches of the Gateway API, criterion by criterion: the first of two wins, wherever it stands.
func TestPrecedence(t *testing.T) {
	q := Question{Method: "GET", Path: "/a/b?q=1&r=2", Headers: map[string]string{"X-Tier": "gold", "x-user": "ann"}}
	const (
		exact   = `path: {type: Exact, value: /a/b}`
		long    = `path: {type: PathPrefix, value: /a/b}`
		short   = `path: {type: PathPrefix, value: /a}`
		regular = `path: {type: RegularExpression, value: "/a/[a-z]+"}`
		get     = `method: GET`
		one     = `headers: [{name: x-tier, value: gold}]`
		two     = `headers: [{name: x-tier, value: gold}, {name: X-User, value: ann}]`
		queries = `queryParams: [{name: q, value: "1"}]`
	)
	all := func(parts ...string) string { return strings.Join(parts, "\n") }
	for _, tc := range []struct{ name, wins, loses, why string }{
		{"an exact path before a prefix with all else", exact, all(long, get, two, queries), "kind of path match"},
		{"a prefix before a regular expression with all else", `{}`, all(regular, get, two, queries), "kind of path match"},
		{"a longer prefix before a method", long, all(short, get, two, queries), "shorter"},
		{"a method before headers", all(short, get), all(short, two, queries), "no method"},
		{"more headers before query parameters", all(short, two), all(short, one, queries), "fewer headers"},
		{"more query parameters", all(short, one, queries), all(short, one), "fewer query"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i, rules := range [][]mcwanv1alpha1.HTTPRule{matches(t, tc.wins, tc.loses), matches(t, tc.loses, tc.wins)} {
				hits, misses, _ := choose(rules, 8080, ask(q, Mesh{}))
				if len(hits) != 2 || hits[0].rule != i {
					t.Fatalf("hits %v, misses %v", hits, misses)
				}
				if why := beatenBy(hits[0], hits[1]); !strings.Contains(why, tc.why) {
					t.Errorf("why: %s", why)
				}
			}
		})
	}
	hits, _, _ := choose(matches(t, short, short), 8080, ask(q, Mesh{}))
	if hits[0].rule != 0 || beatenBy(hits[0], hits[1]) != "it stands later in the list" {
		t.Errorf("of equals the first: %v", hits)
	}
}

func TestMisses(t *testing.T) {
	q := Question{Method: "GET", Path: "/payment/1?q=1&q=2", Headers: map[string]string{"X-Tier": "gold"}}
	for text, want := range map[string]string{
		`{}`: "",
		`path: {type: PathPrefix, value: /payment/}`:                                            "",
		`path: {type: PathPrefix, value: /pay}`:                                                 "path",
		`path: {type: Exact, value: /payment}`:                                                  "path",
		`path: {type: RegularExpression, value: /payment}`:                                      "path",
		`path: {type: RegularExpression, value: "/payment/[0-9]"}`:                              "",
		`path: {type: RegularExpression, value: "/(unclosed"}`:                                  "",
		`path: {type: RegularExpression, value: '/\p{Letter}'}`:                                 "",
		`path: {type: Prefix, value: /other}`:                                                   "",
		`method: POST`:                                                                          "method",
		`headers: [{name: x-tier, value: gol}]`:                                                 "header",
		`headers: [{name: x-tier, type: RegularExpression, value: "go.*"}]`:                     "",
		`headers: [{name: x-tier, value: gold}, {name: X-TIER, value: other}]`:                  "",
		`headers: [{name: x-other, type: RegularExpression, value: ".*"}]`:                      "header",
		`queryParams: [{name: q, value: "1"}]`:                                                  "",
		`queryParams: [{name: q, value: "2"}]`:                                                  "query",
		`queryParams: [{name: r, value: "1"}]`:                                                  "query",
		`{method: GET, queryParams: [{name: q, type: RegularExpression, value: "[0-9]"}]}`:      "",
		`{path: {type: PathPrefix, value: /payment}, headers: [{name: x-tier, value: silver}]}`: "header",
	} {
		_, misses, _ := choose(matches(t, text), 8080, ask(q, Mesh{}))
		if got := misses[place{}]; (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestRulesOfOtherPorts(t *testing.T) {
	rules := matches(t, `{}`, `{}`)
	rules[0].Ports = []int32{9090}
	for port, want := range map[int32]string{8080: "[rules[1].matches[0]] true", 9090: "[rules[0].matches[0] rules[1].matches[0]] true"} {
		hits, _, forPort := choose(rules, port, ask(Question{Method: "GET", Path: "/"}, Mesh{}))
		var places []place
		for _, h := range hits {
			places = append(places, h.place)
		}
		if got := fmt.Sprintf("%v %v", places, forPort); got != want {
			t.Errorf("port %d: %s, want %s", port, got, want)
		}
	}
	if hits, _, forPort := choose(rules[:1], 8080, ask(Question{Method: "GET", Path: "/"}, Mesh{})); forPort || len(hits) > 0 {
		t.Errorf("no rule is for the port: %v", hits)
	}
}
