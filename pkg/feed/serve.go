// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Paths that are served.
const (
	pathHealth   = "/healthz"
	pathAnnounce = "/announce"
	pathPrefix   = "/apis/" + v1alpha1.GroupName + "/v1alpha1/namespaces/" + v1alpha1.Namespace + "/"
)

// fault is an answer other than the one that was asked for.
type fault struct {
	code    int
	reason  metav1.StatusReason
	message string
	retry   int // seconds; 0: no hint
}

func faultf(code int, reason metav1.StatusReason, format string, args ...any) *fault {
	return &fault{code: code, reason: reason, message: fmt.Sprintf(format, args...)}
}

// write answers with a metav1.Status, which client-go turns into the same error on the other side.
func (f *fault) write(w http.ResponseWriter) {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(f.code), Reason: f.reason, Message: f.message, // an HTTP code
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(f.retry))
		status.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(f.retry)} // a few seconds
	}
	writeJSON(w, f.code, status)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n'))
}

// peerHandler answers a request of a known peer; what it returns is written unless it is nil.
type peerHandler func(w http.ResponseWriter, r *http.Request, peer v1alpha1.PeerSpec) *fault

func (s *Server) route(w http.ResponseWriter, r *http.Request) *fault {
	switch r.URL.Path {
	case pathHealth:
		return s.health(w, r)
	case pathAnnounce:
		return s.forPeer(w, r, http.MethodPost, s.announce)
	case pathPrefix + resourceAdvertisement:
		return s.forPeer(w, r, http.MethodGet, s.proxy(resourceAdvertisement))
	case pathPrefix + resourceCard:
		return s.forPeer(w, r, http.MethodGet, s.proxy(resourceCard))
	}
	return faultf(http.StatusNotFound, metav1.StatusReasonNotFound,
		"not served: a feed has %s%s, %s%s and %s", pathPrefix, resourceAdvertisement, pathPrefix, resourceCard, pathAnnounce)
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) *fault {
	if f := allowMethod(w, r, http.MethodGet); f != nil {
		return f
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

func (s *Server) forPeer(w http.ResponseWriter, r *http.Request, method string, handle peerHandler) *fault {
	if f := allowMethod(w, r, method); f != nil {
		return f
	}
	if r.Header.Get("Upgrade") != "" {
		return faultf(http.StatusBadRequest, metav1.StatusReasonBadRequest, "upgrades are not served; use GET")
	}
	peer, f := s.caller(r)
	if f != nil {
		return f
	}
	if !s.gate.admit(peer.ClusterID) {
		return &fault{http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "this cluster is asked too often by this peer; slow down", 1}
	}
	return handle(w, r, peer)
}

// caller finds out which peer calls. The message is what the operator over there reads.
func (s *Server) caller(r *http.Request) (v1alpha1.PeerSpec, *fault) {
	values := r.Header.Values(v1alpha1.HeaderPeer)
	if len(values) == 1 && values[0] != "" {
		if peer, ok := s.opts.Peers(values[0]); ok && peer.Identities.Egress == values[0] {
			return peer, nil
		}
	}
	return v1alpha1.PeerSpec{}, faultf(http.StatusForbidden, metav1.StatusReasonForbidden,
		"the calling identity is no egress gateway of a cluster that %s has joined: apply the caller's card there (mcwanctl card | kubectl --context PEER apply -f -)", s.opts.ClusterID)
}

func allowMethod(w http.ResponseWriter, r *http.Request, method string) *fault {
	if r.Method == method {
		return nil
	}
	w.Header().Set("Allow", method)
	return faultf(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "only %s is served here", method)
}

// acceptsJSON says whether the caller takes plain JSON: neither protobuf nor tables are served.
func acceptsJSON(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" {
		return true
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err == nil && params["as"] == "" && (media == "application/json" || media == "application/*" || media == "*/*") {
			return true
		}
	}
	return false
}
