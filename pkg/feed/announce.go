// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// announce takes the card of the peer that calls. It is what a peer's feed would say, only earlier, so the same checks
// hold; besides, a card with another cluster uid than the one in use comes by the feed only, where it is visible.
func (s *Server) announce(w http.ResponseWriter, r *http.Request, peer v1alpha1.PeerSpec) *fault {
	leave := s.gate.enter()
	if leave == nil {
		return &fault{http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests are under way; try again", 1}
	}
	defer leave()
	card, f := s.readCard(w, r)
	if f != nil {
		return f
	}
	rules := Rules{Peer: peer, OwnAddress: s.opts.OwnAddress}
	if refusal, ok := CheckCard(rules, card); !ok {
		return faultf(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "%s: %s", refusal.Reason, refusal.Message)
	}
	known, err := s.opts.Cards.Card(r.Context(), peer.ClusterID)
	if err != nil {
		return s.upstream(r.Context(), err)
	}
	if known != nil && known.Spec.ClusterUID != card.ClusterUID && peer.ClusterUID == "" {
		return faultf(http.StatusConflict, metav1.StatusReasonConflict, "%s knows %s by another clusterUID: the card is taken from the feed, not from an announcement", s.opts.ClusterID, peer.ClusterID)
	}
	if known != nil && known.Spec.ClusterUID == card.ClusterUID && known.Spec.Generation >= card.Generation {
		return s.acknowledge(w, "a card of this generation or a higher one is in use already")
	}
	if err := s.opts.Cards.ApplyCard(r.Context(), CardCopy(card)); err != nil {
		return s.upstream(r.Context(), err)
	}
	return s.acknowledge(w, "the card is in use")
}

func (s *Server) acknowledge(w http.ResponseWriter, message string) *fault {
	writeJSON(w, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusSuccess, Message: message, Code: http.StatusOK,
	})
	return nil
}

func (s *Server) readCard(w http.ResponseWriter, r *http.Request) (*v1alpha1.ClusterAdvertisementSpec, *fault) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, faultf(http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, "an announcement is application/json")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(listTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opts.Limits.MaxAnnounceBytes))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, faultf(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "an announcement has at most %d bytes", s.opts.Limits.MaxAnnounceBytes)
	case err != nil:
		return nil, faultf(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the announcement did not arrive whole")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	var it item
	_ = it.UnmarshalJSON(data) // never fails, what cannot be decoded has no kind
	if it.kind != v1alpha1.ClusterAdvertisementKind {
		return nil, faultf(http.StatusBadRequest, metav1.StatusReasonBadRequest, "an announcement is a %s", v1alpha1.ClusterAdvertisementKind)
	}
	card, v := decodeCard(&it)
	if v.reason != "" {
		return nil, faultf(http.StatusBadRequest, metav1.StatusReasonBadRequest, "%s: %s", v.reason, v.message)
	}
	return card, nil
}
