// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// changesOf is what filters do to a request and its answer, in words.
func changesOf(filters []gatewayv1.HTTPRouteFilter) []string {
	var out []string
	for _, f := range filters {
		out = append(out, headerChanges("request", f.RequestHeaderModifier)...)
		out = append(out, headerChanges("answer", f.ResponseHeaderModifier)...)
		if f.URLRewrite != nil && f.URLRewrite.Path != nil {
			out = append(out, "rewrites"+pathText(f.URLRewrite.Path))
		}
	}
	return out
}

func headerChanges(of string, f *gatewayv1.HTTPHeaderFilter) []string {
	if f == nil {
		return nil
	}
	var out []string
	for _, h := range f.Set {
		out = append(out, fmt.Sprintf("sets header %s of the %s to %q", h.Name, of, h.Value))
	}
	for _, h := range f.Add {
		out = append(out, fmt.Sprintf("adds %q to header %s of the %s", h.Value, h.Name, of))
	}
	if len(f.Remove) > 0 {
		out = append(out, fmt.Sprintf("removes headers %s of the %s", strings.Join(f.Remove, ", "), of))
	}
	return out
}

func pathText(p *gatewayv1.HTTPPathModifier) string {
	switch {
	case p == nil:
		return ""
	case p.ReplaceFullPath != nil:
		return " the path to " + *p.ReplaceFullPath
	case p.ReplacePrefixMatch != nil:
		return " the matched prefix to " + *p.ReplacePrefixMatch
	}
	return ""
}

// targetOf is where a redirect leads; what it does not say stays as in the request.
func targetOf(f gatewayv1.HTTPRequestRedirectFilter) string {
	var out []string
	if f.Scheme != nil {
		out = append(out, " to "+*f.Scheme)
	}
	if f.Hostname != nil {
		out = append(out, " to host "+string(*f.Hostname))
	}
	if f.Port != nil {
		out = append(out, fmt.Sprintf(" to port %d", *f.Port))
	}
	if text := pathText(f.Path); text != "" {
		out = append(out, text)
	}
	return strings.Join(out, ",")
}

// copy adds where copies go: to the exporter with the largest share. What names no dummy Service of this service copies
// nothing.
func (e *explanation) copy(f gatewayv1.HTTPRequestMirrorFilter) {
	percent := 100.0
	switch {
	case f.Percent != nil:
		percent = float64(*f.Percent)
	case f.Fraction != nil:
		of := int32(100)
		if f.Fraction.Denominator != nil {
			of = max(*f.Fraction.Denominator, 1)
		}
		percent = 100 * float64(f.Fraction.Numerator) / float64(of)
	}
	policy, named := strings.CutPrefix(string(f.BackendRef.Name), e.key.Name+"-"+e.key.Namespace+"-")
	in := gatewayv1.Namespace(e.key.Namespace)
	if f.BackendRef.Namespace != nil {
		in = *f.BackendRef.Namespace
	}
	ways := e.ways()
	if !named || in != v1alpha1.Namespace || percent <= 0 || len(ways) == 0 || !slices.Contains(e.in.Offered, policy) {
		return
	}
	most := slices.MaxFunc(ways, func(a, b way) int { return int(a.percent) - int(b.percent) })
	key := translate.PathKey{Policy: policy, Exporter: most.cluster, Backup: most.backup, Failover: e.failover(policy)}
	e.Copies = append(e.Copies, Route{Percent: percent, Policy: policy, Cluster: most.cluster, Path: translate.PathHost(key)})
}
