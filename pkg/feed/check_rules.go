// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// Bounds on an owner's rules, as the schemas of ServiceExport.mc-wan.l7mp.io and of the Gateway API have them. The schema
// of an advertisement has none: a peer's API server has checked them, which is not to be relied on.
const (
	maxRules   = 16
	maxPath    = 1024
	maxName    = 256
	maxValue   = 4096
	maxWeight  = 1000000
	maxRetries = 10
)

// advertisedRules: what becomes configuration of the own egress gateway has the form that the own API server would have
// asked for.
func advertisedRules(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	spec := adv.Rules
	switch {
	case spec == nil:
		return accept()
	case !mcs.RulesFit(spec):
		return refuse(v1alpha1.RefusedBounds, "rules have more than %d bytes", v1alpha1.MaxRulesBytes)
	case len(spec.HTTP.Rules) == 0 || len(spec.HTTP.Rules) > maxRules:
		return refuse(v1alpha1.RefusedBounds, "%d rules, 1 to %d are taken", len(spec.HTTP.Rules), maxRules)
	}
	switch spec.ConsumerRules {
	case "", mcwanv1alpha1.ConsumerRulesAllowed, mcwanv1alpha1.ConsumerRulesRefused:
	default:
		return refuse(v1alpha1.RefusedBounds, "rules.consumerRules must be Allowed or Refused")
	}
	for i, r := range spec.HTTP.Rules {
		if err := checkRule(r); err != nil {
			return refuse(v1alpha1.RefusedBounds, "rules.http.rules[%d].%s", i, err)
		}
	}
	return accept()
}

func checkRule(r mcwanv1alpha1.HTTPRule) error {
	if len(r.Ports) > maxRules || len(r.Matches) > maxRules || len(r.Filters) > maxRules || len(r.BackendRefs) > maxRules {
		return fmt.Errorf("ports, matches, filters, backendRefs: at most %d of each are taken", maxRules)
	}
	for i, m := range r.Matches {
		if err := checkMatch(m); err != nil {
			return fmt.Errorf("matches[%d].%w", i, err)
		}
	}
	for i, ref := range r.BackendRefs {
		if len(validation.IsDNS1123Subdomain(string(ref.Name))) > 0 {
			return fmt.Errorf("backendRefs[%d].name must be the name of a Service", i)
		}
		if w := ref.Weight; w != nil && (*w < 0 || *w > maxWeight) {
			return fmt.Errorf("backendRefs[%d].weight must be within 0 to %d", i, maxWeight)
		}
	}
	for i, f := range r.Filters {
		if err := checkFilter(f); err != nil {
			return fmt.Errorf("filters[%d].%w", i, err)
		}
	}
	if r.Retry != nil && r.Retry.Attempts != nil && (*r.Retry.Attempts < 0 || *r.Retry.Attempts > maxRetries) {
		return fmt.Errorf("retry.attempts must be within 0 to %d", maxRetries)
	}
	return nil
}

func checkMatch(m gatewayv1.HTTPRouteMatch) error {
	if len(m.Headers) > maxRules || len(m.QueryParams) > maxRules {
		return fmt.Errorf("headers, queryParams: at most %d of each are taken", maxRules)
	}
	if p := m.Path; p != nil && p.Value != nil {
		regular := p.Type != nil && *p.Type == gatewayv1.PathMatchRegularExpression
		if len(*p.Value) > maxPath || !inOneLine(*p.Value) || (!regular && !strings.HasPrefix(*p.Value, "/")) {
			return fmt.Errorf("path.value must begin with a slash and have at most %d printable characters", maxPath)
		}
	}
	if m.Method != nil && !token(string(*m.Method)) {
		return fmt.Errorf("method must be a method of HTTP")
	}
	for i, h := range m.Headers {
		if !pair(string(h.Name), h.Value) {
			return fmt.Errorf("headers[%d] must be the name and the value of a header", i)
		}
	}
	for i, q := range m.QueryParams {
		if !pair(string(q.Name), q.Value) {
			return fmt.Errorf("queryParams[%d] must be the name and the value of a parameter", i)
		}
	}
	return nil
}

// pair says whether a name and a value can be those of a header or a query parameter.
func pair(name, value string) bool {
	return token(name) && len(value) <= maxValue && inOneLine(value)
}

func checkFilter(f gatewayv1.HTTPRouteFilter) error {
	for _, headers := range []*gatewayv1.HTTPHeaderFilter{f.RequestHeaderModifier, f.ResponseHeaderModifier} {
		if err := checkHeaders(headers); err != nil {
			return err
		}
	}
	if r := f.RequestRedirect; r != nil {
		if r.Scheme != nil && *r.Scheme != "http" && *r.Scheme != "https" {
			return fmt.Errorf("requestRedirect.scheme must be http or https")
		}
		if r.Hostname != nil && len(validation.IsDNS1123Subdomain(string(*r.Hostname))) > 0 {
			return fmt.Errorf("requestRedirect.hostname must be a DNS name")
		}
		return checkModifier("requestRedirect", r.Path)
	}
	if f.URLRewrite != nil {
		return checkModifier("urlRewrite", f.URLRewrite.Path)
	}
	return nil
}

func checkHeaders(headers *gatewayv1.HTTPHeaderFilter) error {
	if headers == nil {
		return nil
	}
	if len(headers.Set) > maxRules || len(headers.Add) > maxRules || len(headers.Remove) > maxRules {
		return fmt.Errorf("set, add, remove: at most %d of each are taken", maxRules)
	}
	for _, h := range slices.Concat(headers.Set, headers.Add) {
		if !pair(string(h.Name), h.Value) {
			return fmt.Errorf("set, add: %s must be the name of a header, with a value", quote(string(h.Name)))
		}
	}
	for _, name := range headers.Remove {
		if !token(name) {
			return fmt.Errorf("remove: %s must be the name of a header", quote(name))
		}
	}
	return nil
}

func checkModifier(field string, p *gatewayv1.HTTPPathModifier) error {
	if p == nil {
		return nil
	}
	for _, text := range []*string{p.ReplaceFullPath, p.ReplacePrefixMatch} {
		if text != nil && (len(*text) > maxPath || !inOneLine(*text)) {
			return fmt.Errorf("%s.path must have at most %d printable characters", field, maxPath)
		}
	}
	return nil
}

// token is a name as RFC 9110 (5.6.2) has it for headers and methods.
func token(s string) bool {
	return len(s) <= maxName && regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$").MatchString(s)
}

func inOneLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
