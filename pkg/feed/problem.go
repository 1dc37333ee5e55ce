// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// problem is why a feed cannot be read: a reason for the condition FeedReady and a message that says what to do. The
// message is stable: nothing of the answer that caused it is in it, that goes to the log.
type problem struct {
	reason, message string
	// turnedAway says that the peer's controller itself said that this cluster is none of its peers.
	turnedAway bool
}

func because(reason, message string) problem { return problem{reason: reason, message: message} }

func (p problem) none() bool { return p.reason == "" }

// severity orders problems of a feed's two streams: the one that tells the operator most comes first.
func (p problem) severity() int {
	switch p.reason {
	case v1alpha1.ReasonIdentityMismatch, v1alpha1.ReasonUIDMismatch:
		return 5
	case v1alpha1.ReasonRefused:
		return 4
	case v1alpha1.ReasonUnreadable:
		return 3
	case v1alpha1.ReasonUnreachable:
		return 2
	case v1alpha1.ReasonPending:
		return 1
	}
	return 0
}

func worse(a, b problem) problem {
	if b.severity() > a.severity() {
		return b
	}
	return a
}

func unreachable() problem {
	return because(v1alpha1.ReasonUnreachable, "no gateway of the peer answers over any tunnel: check the SD-WAN, the peer's ingress gateway and spec.bootstrap of the Peer; what is known of the peer stays in use")
}

func refused() problem {
	return because(v1alpha1.ReasonRefused, "the peer turns this cluster away: apply this cluster's card at the peer (mcwanctl card | kubectl --context PEER apply -f -)")
}

func identityMismatch() problem {
	return because(v1alpha1.ReasonIdentityMismatch, "what answers at the peer's address is not the pinned identity spec.identities.ingress: check that the address is the peer's, or apply the peer's card again (mcwanctl card at the peer)")
}

func unreadable(format string, args ...any) problem {
	return because(v1alpha1.ReasonUnreadable, fmt.Sprintf(format, args...)+"; what is known of the peer stays in use")
}

func pending() problem {
	return because(v1alpha1.ReasonPending, "the peer's feed has not been read yet")
}

// certificateFailed is what Envoy's TLS transport socket says when the certificate of the upstream is not one that was
// asked for (BoringSSL's reason code; source/common/tls in Envoy). The EnvoyFilter feed-says-why puts it into the body.
const certificateFailed = "CERTIFICATE_VERIFY_FAILED"

// problemOf says what an answer other than 2xx and 410 means. The own egress gateway, the peer's ingress gateway and
// the peer's controller all answer here; a metav1.Status comes from the controller only.
func problemOf(status int, body []byte) problem {
	ofController := bytes.Contains(body, []byte(`"kind":"Status"`))
	switch {
	case bytes.Contains(body, []byte(certificateFailed)):
		return identityMismatch()
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		p := refused()
		p.turnedAway = ofController
		return p
	case status == http.StatusTooManyRequests:
		return because(v1alpha1.ReasonUnreachable, "the peer answers that it is asked too often; what is known of the peer stays in use")
	case status >= http.StatusInternalServerError && ofController:
		return because(v1alpha1.ReasonUnreachable, "the peer's controller answers, but cannot read its API server: see its log; what is known of the peer stays in use")
	case status >= http.StatusInternalServerError, status == http.StatusRequestTimeout:
		return unreachable()
	case status == http.StatusNotFound && !ofController:
		return because(v1alpha1.ReasonUnreachable, "there is no route to the peer's feed: is its mcwan-controller running; what is known of the peer stays in use")
	}
	return unreadable("the peer's feed answers %d: do the two clusters run versions of mc-wan that fit", status)
}

// call is what became of one request to a peer. It travels in the request's context, because client-go swallows some
// errors of watches (rest.Request.Watch) and words the others anew.
type call struct {
	watch bool

	mu      sync.Mutex
	problem problem
	cause   error
	bytes   int64 // since the request, or since the last event of a watch
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// fail records the first problem of the call and returns it as an error.
func (c *call) fail(p problem, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem.none() {
		c.problem, c.cause = p, cause
	}
	return &callError{c.problem, c.cause}
}

func (c *call) failure() (problem, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem, c.cause
}

func (c *call) count(n int) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += int64(n)
	return c.bytes
}

// delivered starts the count of bytes anew after an event of a watch.
func (c *call) delivered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes = 0
}

// callError is a problem as an error. It unwraps to nothing: client-go and the reflector would act on what is below.
type callError struct {
	problem problem
	cause   error
}

func (e *callError) Error() string {
	if e.cause == nil {
		return e.problem.reason
	}
	return e.problem.reason + ": " + e.cause.Error()
}

// asCallError makes a problem of an error of a call that the guard below the client did not see, such as a decoding one.
func asCallError(c *call, err error) *callError {
	if p, cause := c.failure(); !p.none() {
		return &callError{p, cause}
	}
	var ce *callError
	if errors.As(err, &ce) {
		return ce
	}
	return &callError{unreadable("the peer's answer cannot be decoded: do the two clusters run versions of mc-wan that fit"), err}
}
