// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
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

// knownFilters are the types of filters that can be carried out.
const knownFilters = "RequestHeaderModifier, ResponseHeaderModifier, URLRewrite, RequestRedirect and RequestMirror"

// changesOf reads a rule's filters; wrong names the fields that cannot be carried out.
func changesOf(in []gatewayv1.HTTPRouteFilter, local string) (c changes, wrong []string) {
	no := func(i int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("filters[%d].", i)+fmt.Sprintf(format, args...))
	}
	for i, f := range in {
		switch {
		case f.Type == gatewayv1.HTTPRouteFilterRequestHeaderModifier && f.RequestHeaderModifier != nil:
			c.request = f.RequestHeaderModifier
			wrong = append(wrong, headersWrong(fmt.Sprintf("filters[%d].requestHeaderModifier", i), c.request)...)
		case f.Type == gatewayv1.HTTPRouteFilterResponseHeaderModifier && f.ResponseHeaderModifier != nil:
			c.response = f.ResponseHeaderModifier
			wrong = append(wrong, headersWrong(fmt.Sprintf("filters[%d].responseHeaderModifier", i), c.response)...)
		case f.Type == gatewayv1.HTTPRouteFilterURLRewrite && f.URLRewrite != nil:
			c.rewrite = f.URLRewrite.Path
			if h := f.URLRewrite.Hostname; h != nil && string(*h) != local {
				no(i, "urlRewrite.hostname: the service is always asked by its own name, %s; leave the field out", local)
			}
			wrong = append(wrong, pathWrong(fmt.Sprintf("filters[%d].urlRewrite.path", i), c.rewrite)...)
		case f.Type == gatewayv1.HTTPRouteFilterRequestRedirect && f.RequestRedirect != nil:
			c.redirect = f.RequestRedirect
			wrong = append(wrong, pathWrong(fmt.Sprintf("filters[%d].requestRedirect.path", i), c.redirect.Path)...)
		case f.Type == gatewayv1.HTTPRouteFilterRequestMirror && f.RequestMirror != nil:
			c.mirrors = append(c.mirrors, mirror{
				ref: f.RequestMirror.BackendRef, percent: mirrored(f.RequestMirror), field: fmt.Sprintf("filters[%d].requestMirror.backendRef", i),
			})
		default:
			no(i, "type: %s is not supported, or lacks the field of its name; there are %s", f.Type, knownFilters)
		}
	}
	return c, wrong
}

func mirrored(f *gatewayv1.HTTPRequestMirrorFilter) float64 {
	switch {
	case f.Percent != nil:
		return float64(*f.Percent)
	case f.Fraction != nil:
		return 100 * float64(f.Fraction.Numerator) / float64(max(ptr.Deref(f.Fraction.Denominator, 100), 1))
	}
	return 100
}

// headersWrong are the fields of a header filter that cannot be carried out, each below field.
func headersWrong(field string, f *gatewayv1.HTTPHeaderFilter) (wrong []string) {
	no := func(kind string, i int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s.%s[%d]", field, kind, i)+fmt.Sprintf(format, args...))
	}
	check := func(kind string, headers []gatewayv1.HTTPHeader) {
		for i, h := range headers {
			if isReserved(string(h.Name)) {
				no(kind, i, ".name: %s", reserved(string(h.Name)))
			}
			if strings.ContainsFunc(h.Value, notInHeaders) {
				no(kind, i, ".value: a header has no line breaks or other control characters; take them out")
			}
		}
	}
	check("set", f.Set)
	check("add", f.Add)
	for i, name := range f.Remove {
		switch {
		case isReserved(name):
			no("remove", i, ": %s", reserved(name))
		case name == "" || strings.ContainsFunc(name, notInHeaders):
			no("remove", i, ": %q is no name of a header; take it out", name)
		}
	}
	return wrong
}

// isReserved says of a header whether filters must leave it alone: by some the gateways find the service, by others the
// backend knows who is calling.
func isReserved(name string) bool {
	n := strings.ToLower(name)
	return n == "host" || n == "x-forwarded-host" || n == "x-forwarded-client-cert" || strings.HasPrefix(n, ":") ||
		strings.HasPrefix(n, "x-mcw-") || strings.HasPrefix(n, "x-envoy-")
}

func reserved(name string) string {
	return fmt.Sprintf("header %s belongs to the gateways; take it out of the filter", name)
}

// notInHeaders are the characters that Envoy takes in no header.
func notInHeaders(r rune) bool { return r != '\t' && unicode.IsControl(r) && r <= unicode.MaxASCII }

// pathWrong is what is wrong with a path that a filter puts in place of another, below field.
func pathWrong(field string, p *gatewayv1.HTTPPathModifier) []string {
	if p == nil {
		return nil
	}
	if strings.ContainsFunc(ptr.Deref(p.ReplaceFullPath, "")+ptr.Deref(p.ReplacePrefixMatch, ""), notInHeaders) {
		return []string{field + ": a path has no line breaks or other control characters; percent-encode them"}
	}
	return nil
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
		return &networkingv1alpha3.RegexRewrite{Match: "^.*$", Rewrite: literal(ptr.Deref(p.ReplaceFullPath, "/"))}
	}
	prefix, to := regexp.QuoteMeta(m.prefix()), strings.TrimSuffix(ptr.Deref(p.ReplacePrefixMatch, "/"), "/")
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
//
// The host of a request is left to Envoy, with one exception. Envoy takes it with the port that the client has written, such
// as payment:8080, unless it is told a port, and Istio does not tell it 80 and 443. There host takes its place: the name of
// the service, which has no port.
func redirectTo(f *gatewayv1.HTTPRequestRedirectFilter, host string, port int32, m *networkingv1alpha3.HTTPMatchRequest) *networkingv1alpha3.HTTPRedirect {
	out := &networkingv1alpha3.HTTPRedirect{
		RedirectCode: uint32(ptr.Deref(f.StatusCode, 302)),
		Authority:    string(ptr.Deref(f.Hostname, "")),
		Scheme:       ptr.Deref(f.Scheme, ""),
	}
	if f.Hostname == nil && wellKnown(f) {
		out.Authority = host
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
		out.Uri = absolute(ptr.Deref(f.Path.ReplaceFullPath, "/"))
		return out
	}
	to := strings.TrimSuffix(absolute(ptr.Deref(f.Path.ReplacePrefixMatch, "/")), "/")
	if m.GetUri().GetPrefix() != "" {
		out.PrefixRewrite = to + "/"
	} else {
		out.Uri = absolute(to)
	}
	return out
}

// wellKnown says of a redirect that it leads to a port that does not stand in URLs: that of its scheme.
func wellKnown(f *gatewayv1.HTTPRequestRedirectFilter) bool {
	if f.Port == nil {
		return f.Scheme != nil
	}
	return *f.Port == 80 || *f.Port == 443
}

func absolute(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}
