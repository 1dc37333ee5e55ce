// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
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

// CheckOwnerRules says whether an owner's rules can be advertised: they fit, and they have the form that the API server of a
// consumer would have asked for, since they become configuration of its egress gateway. An exporter keeps back what an
// importer would refuse, so that a rule of odd form does not take its service away from others. The error names the field.
func CheckOwnerRules(spec *mcwanv1alpha1.ServiceExportSpec) error {
	if !RulesFit(spec) {
		return fmt.Errorf("rules have more than %d bytes as JSON", v1alpha1.MaxRulesBytes)
	}
	if n := len(spec.HTTP.Rules); n == 0 || n > maxRules {
		return fmt.Errorf("http.rules: %d rules, 1 to %d are taken", n, maxRules)
	}
	switch spec.ConsumerRules {
	case "", mcwanv1alpha1.ConsumerRulesAllowed, mcwanv1alpha1.ConsumerRulesRefused:
	default:
		return errors.New("consumerRules must be Allowed or Refused")
	}
	for i, r := range spec.HTTP.Rules {
		if err := checkRule(r); err != nil {
			return fmt.Errorf("http.rules[%d].%w", i, err)
		}
	}
	return nil
}

// RulesFit says whether an owner's rules fit into an advertisement.
func RulesFit(rules *mcwanv1alpha1.ServiceExportSpec) bool {
	out, err := json.Marshal(rules)
	return err == nil && len(out) <= v1alpha1.MaxRulesBytes
}

// RulesWithin says whether rules have at most so many bytes as JSON.
func RulesWithin(rules []mcwanv1alpha1.HTTPRule, bytes int) bool {
	out, err := json.Marshal(rules)
	return err == nil && len(out) <= bytes
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
		if len(utilvalidation.IsDNS1123Subdomain(string(ref.Name))) > 0 {
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
	if m.Method != nil && !isToken(string(*m.Method)) {
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
	return isToken(name) && len(value) <= maxValue && inOneLine(value)
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
		if r.Hostname != nil && len(utilvalidation.IsDNS1123Subdomain(string(*r.Hostname))) > 0 {
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
			return errors.New("set, add: must be names of headers, with values in one line")
		}
	}
	for i, name := range headers.Remove {
		if !isToken(name) {
			return fmt.Errorf("remove[%d] must be the name of a header", i)
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

// isToken is a name as RFC 9110 (5.6.2) has it for headers and methods.
func isToken(s string) bool {
	return len(s) <= maxName && regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$").MatchString(s)
}

func inOneLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
