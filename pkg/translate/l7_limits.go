// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// limits are a rule's timeouts and retries. The ingress gateway of the exporting cluster keeps them: on the egress
// gateway a timeout would count as a failure of a path that all services share, and tries would multiply with those by
// which a request finds a living hop.
type limits struct {
	// request and try are 0 for no limit.
	request, try time.Duration
	// retries is 0 for none.
	retries int
	codes   []int
	// pause is the first pause between tries, 0 for Envoy's. Only the owner's gateway keeps it.
	pause time.Duration
}

const (
	// defaultRetries is Istio's.
	defaultRetries = 2
	maxRetries     = 10
	maxCodes       = 16
	// maxLimit is what Envoy can count in milliseconds without doubt.
	maxLimit = 24 * time.Hour

	// repeatIdempotent is what the ingress gateway tries again besides status codes: what the Gateway API calls connection
	// errors (disconnect, reset, timeout, TCP failure). repeatOthers leaves out what may have reached the service, because
	// it may have been carried out.
	repeatIdempotent = "connect-failure,refused-stream,reset"
	repeatOthers     = "connect-failure,refused-stream,reset-before-request"
	repeatCodes      = "retriable-status-codes"
)

// limitsOf reads timeouts and retries; wrong names the fields that cannot be carried out.
func limitsOf(t *gatewayv1.HTTPRouteTimeouts, r *gatewayv1.HTTPRouteRetry) (l limits, wrong []string) {
	if t != nil {
		var problem string
		if l.request, problem = limit(t.Request); problem != "" {
			wrong = append(wrong, "timeouts.request: "+problem)
		}
		if l.try, problem = limit(t.BackendRequest); problem != "" {
			wrong = append(wrong, "timeouts.backendRequest: "+problem)
		}
		if l.request > 0 && l.try > l.request {
			wrong = append(wrong, "timeouts.backendRequest: it cannot be longer than timeouts.request")
		}
	}
	if r == nil {
		return l, wrong
	}
	l.retries = ptr.Deref(r.Attempts, defaultRetries)
	for _, c := range r.Codes {
		l.codes = append(l.codes, int(c))
	}
	if l.retries < 0 || l.retries > maxRetries {
		wrong = append(wrong, fmt.Sprintf("retry.attempts: %d is not within 0 to %d", l.retries, maxRetries))
	}
	if len(l.codes) > maxCodes || slices.ContainsFunc(l.codes, func(c int) bool { return c < 400 || c > 599 }) {
		wrong = append(wrong, fmt.Sprintf("retry.codes: at most %d codes from 400 to 599", maxCodes))
	}
	var problem string
	if l.pause, problem = limit(r.Backoff); problem != "" {
		wrong = append(wrong, "retry.backoff: "+problem)
	}
	return l, wrong
}

// limit reads a duration of GEP-2257; nothing and zero are no limit.
func limit(d *gatewayv1.Duration) (time.Duration, string) {
	if d == nil {
		return 0, ""
	}
	out, err := time.ParseDuration(string(*d))
	switch {
	case err != nil || out < 0:
		return 0, fmt.Sprintf("%q is not a duration such as 500ms or 10s", string(*d))
	case out > maxLimit:
		return 0, fmt.Sprintf("%s is longer than %s", out, maxLimit)
	}
	return out, ""
}

// tell adds to the headers that the egress gateway sets what the ingress gateway turns into Envoy's own (envoyfilters.go).
func (l limits) tell(set map[string]string, idempotent bool) {
	if l.request > 0 {
		set[v1alpha1.HeaderTimeout] = milliseconds(l.request)
	}
	if l.try > 0 {
		set[v1alpha1.HeaderTryTimeout] = milliseconds(l.try)
	}
	if l.retries == 0 {
		return
	}
	set[v1alpha1.HeaderRetries] = fmt.Sprint(l.retries)
	set[v1alpha1.HeaderRetryOn] = l.upon(idempotent)
	if len(l.codes) > 0 {
		set[v1alpha1.HeaderRetryOn] += "," + repeatCodes
		set[v1alpha1.HeaderRetryCodes] = l.codeList()
	}
}

func (l limits) upon(idempotent bool) string {
	if idempotent {
		return repeatIdempotent
	}
	return repeatOthers
}

func (l limits) codeList() string {
	codes := slices.Clone(l.codes)
	slices.SortFunc(codes, cmp.Compare)
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(slices.Compact(codes)), " ", ","), "[]")
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// bound sets the limits on a route of the ingress gateway itself: those of the service's owner.
func (l limits) bound(out *networkingv1alpha3.HTTPRoute, idempotent bool) {
	if l.retries == 0 {
		// Istio knows a timeout of a try only where there are several.
		if shorter := cmp.Or(min(l.request, l.try), l.request, l.try); shorter > 0 {
			out.Timeout = seconds(shorter)
		}
		return
	}
	if l.request > 0 {
		out.Timeout = seconds(l.request)
	}
	out.Retries = &networkingv1alpha3.HTTPRetry{Attempts: int32(l.retries), RetryOn: l.upon(idempotent)}
	if l.try > 0 {
		out.Retries.PerTryTimeout = seconds(l.try)
	}
	if len(l.codes) > 0 {
		out.Retries.RetryOn += "," + l.codeList()
	}
	if l.pause > 0 {
		out.Retries.Backoff = seconds(l.pause)
	}
}
