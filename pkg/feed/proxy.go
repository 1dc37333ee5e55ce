// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	maxParameter = 4 << 10 // bytes; continue tokens have a few hundred
	listTimeout  = 30 * time.Second
)

// query is what of a caller's query is passed on.
type query struct {
	watch   bool
	params  url.Values
	timeout time.Duration // of a watch
}

// readQuery takes the parameters that are served and refuses all others, sendInitialEvents (streamed lists, which
// cannot be bounded by pages) and selectors (ours is forced) among them.
func readQuery(values url.Values, limits ServerLimits) (query, *fault) {
	q := query{params: url.Values{}, timeout: limits.MaxWatch}
	limit := limits.MaxPage
	for name, all := range values {
		if len(all) != 1 || len(all[0]) > maxParameter {
			return query{}, badParameter(name, "must be given once and with at most %d bytes", maxParameter)
		}
		value, ok := all[0], true
		switch name {
		case "watch", "allowWatchBookmarks":
			var on bool
			on, ok = readBool(value)
			q.watch = q.watch || name == "watch" && on
			if name == "allowWatchBookmarks" {
				q.params.Set(name, strconv.FormatBool(on))
			}
		case "limit", "timeoutSeconds":
			var n int64
			if n, ok = readNumber(value); name == "limit" && n > 0 {
				limit = min(n, limits.MaxPage)
			} else if n > 0 {
				q.timeout = min(time.Duration(min(n, maxSeconds))*time.Second, limits.MaxWatch)
			}
		case "resourceVersion", "resourceVersionMatch", "continue":
			q.params.Set(name, value)
		default:
			return query{}, badParameter(name, "is not served by a feed")
		}
		if !ok {
			return query{}, badParameter(name, "has a value that cannot be read")
		}
	}
	if q.watch {
		q.params.Set("watch", "true")
		q.params.Set("timeoutSeconds", strconv.Itoa(max(1, int(q.timeout/time.Second))))
	} else {
		q.params.Del("allowWatchBookmarks")
		q.params.Set("limit", strconv.FormatInt(limit, 10))
	}
	return q, nil
}

const maxSeconds = 24 * 60 * 60 // keeps a Duration from overflowing

func readBool(s string) (bool, bool) {
	b, err := strconv.ParseBool(s)
	return b, err == nil
}

func readNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}

func badParameter(name, format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, metav1.StatusReasonBadRequest, "query parameter %s %s", quote(name), fmt.Sprintf(format, args...))
}

// proxy passes a list or watch on to the own API server.
func (s *Server) proxy(resource string) peerHandler {
	return func(w http.ResponseWriter, r *http.Request, peer v1alpha1.PeerSpec) *fault {
		if !acceptsJSON(r) {
			return faultf(http.StatusNotAcceptable, metav1.StatusReasonNotAcceptable, "only application/json is served")
		}
		if r.ContentLength != 0 {
			return faultf(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "a GET has no body")
		}
		q, f := readQuery(r.URL.Query(), s.opts.Limits)
		switch {
		case f != nil:
			return f
		case q.watch:
			return s.watch(w, r, peer, resource, q)
		}
		return s.list(w, r, resource, q)
	}
}

// request is a fresh one: of the caller's nothing but the allow-listed parameters goes on.
func (s *Server) request(resource string, q query) *rest.Request {
	req := s.api.Get().Namespace(v1alpha1.Namespace).Resource(resource).MaxRetries(0).
		Param("labelSelector", ownSelector(s.opts.ClusterID))
	for name, values := range q.params {
		req.Param(name, values[0])
	}
	return req
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, resource string, q query) *fault {
	leave := s.gate.enter()
	if leave == nil {
		return &fault{http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests are under way; try again", 1}
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), listTimeout)
	defer cancel()
	data, err := s.request(resource, q).Do(ctx).Raw()
	if err != nil {
		return s.upstream(r.Context(), err)
	}
	page, err := stripPage(data)
	if err != nil {
		return s.upstream(r.Context(), err)
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, peer v1alpha1.PeerSpec, resource string, q query) *fault {
	ctx, cancel := context.WithTimeout(r.Context(), q.timeout+listTimeout)
	defer cancel()
	leave := s.gate.watch(peer.ClusterID, peer.Identities.Egress, cancel)
	if leave == nil {
		return &fault{http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many watches are open; try again", 5}
	}
	defer leave()
	body, err := s.request(resource, q).Stream(ctx)
	if err != nil {
		return s.upstream(r.Context(), err)
	}
	defer func() { _ = body.Close() }()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return nil // the caller is gone
	}
	if err := s.relay(w, body); err != nil && ctx.Err() == nil {
		s.opts.Log.V(1).Info("A watch of a peer broke", "peer", peer.ClusterID, "resource", resource, "err", err.Error())
		panic(http.ErrAbortHandler) // so that the caller does not take it for a watch that ended well
	}
	return nil
}

// relay copies events one by one, each at once.
func (s *Server) relay(w http.ResponseWriter, body io.Reader) error {
	control := http.NewResponseController(w)
	dec := json.NewDecoder(body)
	for {
		var event metav1.WatchEvent
		switch err := dec.Decode(&event); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read an event of the API server: %w", err)
		}
		data, err := stripEvent(event)
		if err != nil {
			return err
		}
		s.writeBefore(w)
		if _, err := w.Write(data); err != nil {
			return fmt.Errorf("write an event: %w", err)
		}
		if err := control.Flush(); err != nil {
			return fmt.Errorf("flush an event: %w", err)
		}
	}
}

// writeBefore bounds the next write: a caller that does not read must not hold memory here.
func (s *Server) writeBefore(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.opts.Limits.WriteTimeout))
}

// upstream says to a peer what went wrong between us and our API server. What the API server says of our own rights is
// for our log: 401 and 403 would mean something else to the peer.
func (s *Server) upstream(ctx context.Context, err error) *fault {
	switch {
	case apierrors.IsGone(err), apierrors.IsResourceExpired(err):
		return faultf(http.StatusGone, metav1.StatusReasonExpired, "the resource version or continue token is too old; list anew")
	case apierrors.IsBadRequest(err), apierrors.IsInvalid(err):
		return faultf(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the API server of %s cannot read the query parameters", s.opts.ClusterID)
	}
	if ctx.Err() == nil { // else the caller has gone, and its request with it
		s.opts.Log.Error(err, "The feed cannot reach the own API server")
	}
	return &fault{http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, fmt.Sprintf("the controller of %s cannot read its API server; see its log", s.opts.ClusterID), 1}
}
