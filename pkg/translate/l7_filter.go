// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"regexp"
	"strings"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// changes are what a rule's filters do to its requests.
type changes struct {
	request, response *gatewayv1.HTTPHeaderFilter
	rewrite           *gatewayv1.HTTPPathModifier
	redirect          *gatewayv1.HTTPRequestRedirectFilter
	mirrors           []mirror
}

// mirror is where a copy of each request goes, or of a part of them.
type mirror struct {
	ref gatewayv1.BackendObjectReference
	// field names the reference in messages.
	field   string
	percent float64
}

// changesOf reads a rule's filters; wrong names the fields that cannot be carried out.
func changesOf(in []gatewayv1.HTTPRouteFilter, local string) (c changes, wrong []string) {
	no := func(i int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("filters[%d].", i)+fmt.Sprintf(format, args...))
	}
	for i, f := range in {
		switch {
		case f.Type == gatewayv1.HTTPRouteFilterRequestHeaderModifier && f.RequestHeaderModifier != nil:
			c.request = f.RequestHeaderModifier
			if name := reservedHeader(c.request); name != "" {
				no(i, "requestHeaderModifier: header %s belongs to the gateways", name)
			}
		case f.Type == gatewayv1.HTTPRouteFilterResponseHeaderModifier && f.ResponseHeaderModifier != nil:
			c.response = f.ResponseHeaderModifier
			if name := reservedHeader(c.response); name != "" {
				no(i, "responseHeaderModifier: header %s belongs to the gateways", name)
			}
		case f.Type == gatewayv1.HTTPRouteFilterURLRewrite && f.URLRewrite != nil:
			c.rewrite = f.URLRewrite.Path
			if h := f.URLRewrite.Hostname; h != nil && string(*h) != local {
				no(i, "urlRewrite.hostname: the service is always asked by its own name, %s; leave the field out", local)
			}
		case f.Type == gatewayv1.HTTPRouteFilterRequestRedirect && f.RequestRedirect != nil:
			c.redirect = f.RequestRedirect
		case f.Type == gatewayv1.HTTPRouteFilterRequestMirror && f.RequestMirror != nil:
			c.mirrors = append(c.mirrors, mirror{
				ref: f.RequestMirror.BackendRef, percent: mirrored(f.RequestMirror), field: fmt.Sprintf("filters[%d].requestMirror.backendRef", i),
			})
		default:
			no(i, "type: %s is not supported at the egress gateway", f.Type)
		}
	}
	return c, wrong
}

func mirrored(f *gatewayv1.HTTPRequestMirrorFilter) float64 {
	switch {
	case f.Percent != nil:
		return float64(*f.Percent)
	case f.Fraction != nil:
		return 100 * float64(f.Fraction.Numerator) / float64(max(deref(f.Fraction.Denominator, 100), 1))
	}
	return 100
}

// reservedHeader is a header that a filter must not touch: by some the gateways find the service, by others the backend
// knows who is calling.
func reservedHeader(f *gatewayv1.HTTPHeaderFilter) string {
	var names []string
	for _, h := range append(append([]gatewayv1.HTTPHeader(nil), f.Set...), f.Add...) {
		names = append(names, string(h.Name))
	}
	for _, name := range append(names, f.Remove...) {
		n := strings.ToLower(name)
		if n == "host" || n == "x-forwarded-host" || n == "x-forwarded-client-cert" || strings.HasPrefix(n, ":") ||
			strings.HasPrefix(n, "x-mcw-") || strings.HasPrefix(n, "x-envoy-") {
			return name
		}
	}
	return ""
}

// change adds header operations to those of the gateways.
func change(own *networkingv1alpha3.Headers_HeaderOperations, f *gatewayv1.HTTPHeaderFilter) *networkingv1alpha3.Headers_HeaderOperations {
	if f == nil {
		return own
	}
	if own == nil {
		own = &networkingv1alpha3.Headers_HeaderOperations{}
	}
	own.Set = headerValues(own.Set, f.Set)
	own.Add = headerValues(own.Add, f.Add)
	for _, name := range f.Remove {
		own.Remove = append(own.Remove, strings.ToLower(name))
	}
	return own
}

// headerValues adds headers to a map. Envoy reads a percent sign as the beginning of a command; two are one.
func headerValues(own map[string]string, in []gatewayv1.HTTPHeader) map[string]string {
	for _, h := range in {
		if own == nil {
			own = map[string]string{}
		}
		if name := strings.ToLower(string(h.Name)); own[name] == "" {
			own[name] = strings.ReplaceAll(h.Value, "%", "%%")
		}
	}
	return own
}

// rewritePath is a path rewrite for requests that match m.
func rewritePath(p *gatewayv1.HTTPPathModifier, m matcher) *networkingv1alpha3.RegexRewrite {
	if p == nil {
		return nil
	}
	if p.Type == gatewayv1.FullPathHTTPPathModifier {
		return &networkingv1alpha3.RegexRewrite{Match: "^.*$", Rewrite: literal(deref(p.ReplaceFullPath, "/"))}
	}
	prefix, to := regexp.QuoteMeta(m.prefix()), strings.TrimSuffix(deref(p.ReplacePrefixMatch, "/"), "/")
	if to == "" {
		return &networkingv1alpha3.RegexRewrite{Match: "^" + prefix + "/?(.*)$", Rewrite: `/\1`}
	}
	return &networkingv1alpha3.RegexRewrite{Match: "^" + prefix + "(/.*)?$", Rewrite: literal(to) + `\1`}
}

// literal is a replacement that means itself: a path never begins with anything else than a slash.
func literal(path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return strings.ReplaceAll(path, `\`, `\\`)
}

// redirectTo is a redirect for one of the forms of a match (matcher.requests): a prefix is replaced in what begins with
// it and a slash, and is all there is to replace in the prefix itself. The port of a request is that of the service: Istio's
// FROM_REQUEST_PORT would be the listener's, which no client knows.
func redirectTo(f *gatewayv1.HTTPRequestRedirectFilter, port int32, m *networkingv1alpha3.HTTPMatchRequest) *networkingv1alpha3.HTTPRedirect {
	out := &networkingv1alpha3.HTTPRedirect{
		RedirectCode: uint32(deref(f.StatusCode, 302)),
		Authority:    string(deref(f.Hostname, "")),
		Scheme:       deref(f.Scheme, ""),
	}
	switch {
	case f.Port != nil:
		out.RedirectPort = &networkingv1alpha3.HTTPRedirect_Port{Port: uint32(*f.Port)}
	case f.Scheme != nil:
		out.RedirectPort = &networkingv1alpha3.HTTPRedirect_DerivePort{DerivePort: networkingv1alpha3.HTTPRedirect_FROM_PROTOCOL_DEFAULT}
	default:
		out.RedirectPort = &networkingv1alpha3.HTTPRedirect_Port{Port: uint32(port)}
	}
	if f.Path == nil {
		return out
	}
	if f.Path.Type == gatewayv1.FullPathHTTPPathModifier {
		out.Uri = absolute(deref(f.Path.ReplaceFullPath, "/"))
		return out
	}
	to := strings.TrimSuffix(absolute(deref(f.Path.ReplacePrefixMatch, "/")), "/")
	if m.GetUri().GetPrefix() != "" {
		out.PrefixRewrite = to + "/"
	} else {
		out.Uri = absolute(to)
	}
	return out
}

func absolute(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}
