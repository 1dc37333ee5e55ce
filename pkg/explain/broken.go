// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// broken says of a rule that it cannot be carried out, so that it answers 500: by what docs/kinds/l7-serviceimport.md says
// of each field. It is read here once more, and not asked of package translate, whose judgement the routes follow.
func (e *explanation) broken(r mcwanv1alpha1.HTTPRule, ports []mcsv1beta1.ServicePort, byOwner bool) bool {
	noPort := func(number int32) bool {
		return len(ports) > 0 && !slices.ContainsFunc(ports, func(p mcsv1beta1.ServicePort) bool {
			return p.Port == number && mcs.Carried(p.Protocol) && translate.IsHTTP(p)
		})
	}
	return slices.ContainsFunc(r.Ports, noPort) ||
		slices.ContainsFunc(r.Matches, unreadable) ||
		slices.ContainsFunc(r.Filters, func(f gatewayv1.HTTPRouteFilter) bool { return e.impossible(f, r.Matches) }) ||
		endless(r.Timeouts) ||
		r.Retry != nil && (tooOften(*r.Retry) || (r.Retry.Backoff != nil && !byOwner))
}

// whyBroken is the field and the reason, in the words of the status.
func (e *explanation) whyBroken(r mcwanv1alpha1.HTTPRule, index int, ports []mcsv1beta1.ServicePort, byOwner bool) string {
	problems := translate.RuleProblems(r, e.key.Namespace, e.key.Name, ports, byOwner)
	if len(problems) == 0 {
		return "see its status"
	}
	return fmt.Sprintf("rules[%d].%s", index, problems[0])
}

func servicePorts(merged mcs.Merged) []mcsv1beta1.ServicePort {
	var out []mcsv1beta1.ServicePort
	for _, p := range merged.Ports {
		out = append(out, p.ServicePort)
	}
	return out
}

func advertisedPorts(export v1alpha1.ServiceAdvertisementSpec) []mcsv1beta1.ServicePort {
	var out []mcsv1beta1.ServicePort
	for _, p := range export.Ports {
		out = append(out, mcsv1beta1.ServicePort{Name: p.Name, Protocol: p.Protocol, AppProtocol: p.AppProtocol, Port: p.Port})
	}
	return out
}

// unreadable says of a match that some text of it means nothing, or nothing that a gateway can tell.
func unreadable(m gatewayv1.HTTPRouteMatch) bool {
	if kind, value := pathOf(m); kind == kindRegular && translate.CheckRegexp(value) != nil {
		return true
	}
	return slices.ContainsFunc(m.Headers, func(h gatewayv1.HTTPHeaderMatch) bool {
		regular := h.Type != nil && *h.Type == gatewayv1.HeaderMatchRegularExpression
		return gateways(string(h.Name)) || (regular && translate.CheckRegexp(h.Value) != nil)
	}) || slices.ContainsFunc(m.QueryParams, func(q gatewayv1.HTTPQueryParamMatch) bool {
		return q.Type != nil && *q.Type == gatewayv1.QueryParamMatchRegularExpression && translate.CheckRegexp(q.Value) != nil
	})
}

// impossible says of a filter that no gateway does what it says.
func (e *explanation) impossible(f gatewayv1.HTTPRouteFilter, matches []gatewayv1.HTTPRouteMatch) bool {
	switch f.Type {
	case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
		return f.RequestHeaderModifier == nil || forbidden(*f.RequestHeaderModifier)
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		return f.ResponseHeaderModifier == nil || forbidden(*f.ResponseHeaderModifier)
	case gatewayv1.HTTPRouteFilterURLRewrite:
		own := fmt.Sprintf("%s.%s.svc.cluster.local", e.key.Name, e.key.Namespace)
		return f.URLRewrite == nil || (f.URLRewrite.Hostname != nil && string(*f.URLRewrite.Hostname) != own) ||
			breaksLine(f.URLRewrite.Path) || tooLong(f.URLRewrite.Path, matches)
	case gatewayv1.HTTPRouteFilterRequestRedirect:
		return f.RequestRedirect == nil || breaksLine(f.RequestRedirect.Path)
	case gatewayv1.HTTPRouteFilterRequestMirror:
		return f.RequestMirror == nil
	}
	return true
}

// forbidden says of a filter of headers that it touches one of the gateways' own, or makes what is no header.
func forbidden(f gatewayv1.HTTPHeaderFilter) bool {
	own := regexp.MustCompile(`(?i)^(host|x-forwarded-(host|client-cert)|:.*|x-(mcw|envoy)-.*)$`)
	return slices.ContainsFunc(slices.Concat(f.Set, f.Add), func(h gatewayv1.HTTPHeader) bool {
		return own.MatchString(string(h.Name)) || controls(h.Value)
	}) || slices.ContainsFunc(f.Remove, func(name string) bool { return name == "" || own.MatchString(name) || controls(name) })
}

// controls says of a text that it has control characters; tabs are none here.
func controls(text string) bool {
	return regexp.MustCompile(`[\x00-\x08\x0a-\x1f\x7f]`).MatchString(text)
}

func breaksLine(p *gatewayv1.HTTPPathModifier) bool {
	if p == nil {
		return false
	}
	none := ""
	return controls(*cmp.Or(p.ReplaceFullPath, &none)) || controls(*cmp.Or(p.ReplacePrefixMatch, &none))
}

// tooLong: a prefix is replaced by a regular expression around it, of at most 1024 characters.
func tooLong(p *gatewayv1.HTTPPathModifier, matches []gatewayv1.HTTPRouteMatch) bool {
	if p == nil || p.Type == gatewayv1.FullPathHTTPPathModifier {
		return false
	}
	around := len("^(/.*)?$")
	if p.ReplacePrefixMatch == nil || strings.TrimSuffix(*p.ReplacePrefixMatch, "/") == "" {
		around = len("^/?(.*)$")
	}
	return slices.ContainsFunc(matches, func(m gatewayv1.HTTPRouteMatch) bool {
		_, value := pathOf(m)
		return around+len(regexp.QuoteMeta(strings.TrimSuffix(value, "/"))) > 1024
	})
}

// endless says of timeouts that they are none, or longer than a day, or a try longer than all.
func endless(t *gatewayv1.HTTPRouteTimeouts) bool {
	if t == nil {
		return false
	}
	all, fine := span(t.Request)
	try, alsoFine := span(t.BackendRequest)
	return !fine || !alsoFine || (all > 0 && try > all)
}

func span(d *gatewayv1.Duration) (time.Duration, bool) {
	if d == nil {
		return 0, true
	}
	out, err := time.ParseDuration(string(*d))
	return out, err == nil && out >= 0 && out <= 24*time.Hour
}

func tooOften(r gatewayv1.HTTPRouteRetry) bool {
	_, fine := span(r.Backoff)
	noError := func(c gatewayv1.HTTPRouteRetryStatusCode) bool { return c < 400 || c > 599 }
	return !fine || (r.Attempts != nil && (*r.Attempts < 0 || *r.Attempts > 10)) || len(r.Codes) > 16 || slices.ContainsFunc(r.Codes, noError)
}
