// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// asked is a request in the parts that matches look at, as the gateways read it.
type asked struct {
	method, path string
	// headers are by lower-case name, query by name; the first value of a repeated parameter counts.
	headers, query map[string]string
}

func ask(q Question, mesh Mesh) asked {
	a := asked{method: q.Method, headers: map[string]string{}, query: map[string]string{}}
	_, query, _ := strings.Cut(q.Path, "?")
	a.path = mesh.normalized(before(q.Path))
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, known := a.query[name]; !known && name != "" {
			a.query[name] = value
		}
	}
	for name, value := range q.Headers {
		a.headers[strings.ToLower(name)] = value
	}
	return a
}

// before is a path as it was asked for, without query and fragment.
func before(path string) string {
	if at := strings.IndexAny(path, "?#"); at >= 0 {
		return path[:at]
	}
	return path
}

// place is where a match stands: the indexes of its rule and of itself.
type place struct{ rule, match int }

func (p place) String() string { return fmt.Sprintf("rules[%d].matches[%d]", p.rule, p.match) }

// compare is the order of the list.
func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.rule, o.rule), cmp.Compare(p.match, o.match))
}

// strength is how precise a match is, the criteria of HTTPRouteRule.matches from the first to the last. The greater one
// wins, element by element.
type strength [5]int

// criteria name the elements of a strength for those who are beaten by them.
func criteria() [5]string {
	return [5]string{
		"its kind of path match comes later (Exact, then PathPrefix, then RegularExpression)",
		"its path is shorter", "it names no method", "it names fewer headers", "it names fewer query parameters",
	}
}

const (
	kindRegular = iota
	kindPrefix
	kindExact
)

// strengthOf: of regular expressions the Gateway API leaves open where they stand; here the longer one comes first.
func strengthOf(m gatewayv1.HTTPRouteMatch) strength {
	kind, path := pathOf(m)
	method := 0
	if m.Method != nil {
		method = 1
	}
	return strength{kind, len(path), method, len(headersOf(m)), len(m.QueryParams)}
}

// pathOf is a path match. One that means nothing, which an API server would not have taken, is an empty expression: it may
// have meant anything.
func pathOf(m gatewayv1.HTTPRouteMatch) (kind int, value string) {
	kind, value = kindPrefix, "/"
	if m.Path == nil {
		return kind, value
	}
	if m.Path.Value != nil {
		value = *m.Path.Value
	}
	if m.Path.Type != nil {
		known := map[gatewayv1.PathMatchType]int{
			gatewayv1.PathMatchExact: kindExact, gatewayv1.PathMatchPathPrefix: kindPrefix, gatewayv1.PathMatchRegularExpression: kindRegular,
		}
		at, ok := known[*m.Path.Type]
		if !ok {
			return kindRegular, ""
		}
		kind = at
	}
	if kind != kindRegular && !strings.HasPrefix(value, "/") {
		return kindRegular, ""
	}
	return kind, value
}

// gateways says of a header that the gateways write it, so that no match can be about it. One that is has to have meant
// something, and may have meant anything.
func gateways(name string) bool {
	return strings.EqualFold(name, "host") || strings.EqualFold(name, "x-forwarded-host") || strings.HasPrefix(strings.ToLower(name), "x-mcw-")
}

// headersOf are the header matches that count: of several for one name the first.
func headersOf(m gatewayv1.HTTPRouteMatch) []gatewayv1.HTTPHeaderMatch {
	var out []gatewayv1.HTTPHeaderMatch
	for _, h := range m.Headers {
		if !gateways(string(h.Name)) && !slices.ContainsFunc(out, func(o gatewayv1.HTTPHeaderMatch) bool { return strings.EqualFold(string(o.Name), string(h.Name)) }) {
			out = append(out, h)
		}
	}
	return out
}

// miss is why a request does not match; empty when it does.
func (a asked) miss(m gatewayv1.HTTPRouteMatch) string {
	kind, value := pathOf(m)
	switch {
	case kind == kindExact && a.path != value:
		return "the path is not " + value
	case kind == kindPrefix && !under(a.path, value):
		return "the path is not " + value + " or under it"
	case kind == kindRegular && !whole(value, a.path):
		return "the path does not match " + value
	case m.Method != nil && a.method != string(*m.Method):
		return "the method is not " + string(*m.Method)
	}
	for _, h := range headersOf(m) {
		got, there := a.headers[strings.ToLower(string(h.Name))]
		regular := h.Type != nil && *h.Type == gatewayv1.HeaderMatchRegularExpression
		if !there || !fits(regular, h.Value, got) {
			return fmt.Sprintf("header %s does not match %s", h.Name, h.Value)
		}
	}
	for _, q := range m.QueryParams {
		got, there := a.query[string(q.Name)]
		regular := q.Type != nil && *q.Type == gatewayv1.QueryParamMatchRegularExpression
		if !there || !fits(regular, q.Value, got) {
			return fmt.Sprintf("query parameter %s does not match %s", q.Name, q.Value)
		}
	}
	return ""
}

// under: a prefix is one of path elements, and a slash at its end does not matter.
func under(path, prefix string) bool {
	elements := func(s string) []string { return strings.Split(strings.TrimSuffix(s, "/"), "/") }
	want, got := elements(prefix), strings.Split(path, "/")
	return len(got) >= len(want) && slices.Equal(got[:len(want)], want)
}

func fits(regular bool, want, got string) bool {
	if regular {
		return whole(want, got)
	}
	return want == got
}

// whole: an expression has to match all of a text. One that cannot be used may have meant anything.
func whole(expression, text string) bool {
	if translate.CheckRegexp(expression) != nil {
		return true
	}
	compiled, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	return err != nil || compiled.MatchString(text)
}

// found is a match that a request satisfies.
type found struct {
	place
	strength strength
}

// choose returns the matches of rules that a request to a port satisfies, the one that is used first. misses says of the
// other rules for the port why not; without any rule for the port both are empty and forPort is false.
func choose(rules []mcwanv1alpha1.HTTPRule, port int32, a asked) (hits []found, misses map[place]string, forPort bool) {
	misses = map[place]string{}
	for i, r := range rules {
		if len(r.Ports) > 0 && !slices.Contains(r.Ports, port) {
			continue
		}
		forPort = true
		matches := r.Matches
		if len(matches) == 0 {
			matches = []gatewayv1.HTTPRouteMatch{{}}
		}
		for j, m := range matches {
			at := place{i, j}
			if why := a.miss(m); why != "" {
				misses[at] = why
			} else {
				hits = append(hits, found{at, strengthOf(m)})
			}
		}
	}
	// Rules and matches are in the order of the list, which decides between equals.
	slices.SortStableFunc(hits, func(a, b found) int { return slices.Compare(b.strength[:], a.strength[:]) })
	return hits, misses, forPort
}

// beatenBy is why loser comes after winner.
func beatenBy(winner, loser found) string {
	for i, why := range criteria() {
		if winner.strength[i] != loser.strength[i] {
			return why
		}
	}
	return "it stands later in the list"
}
