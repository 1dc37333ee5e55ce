// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// peerState is what a Peer's status is made of.
type peerState struct {
	accepted metav1.Condition
	report   feed.PeerReport
	// effective is what may be believed of the peer's card.
	effective v1alpha1.ClusterAdvertisementSpec
	// givenUp says that imports are written without the peer, because it was not read within timeout.
	givenUp bool
	timeout time.Duration
	// hops is what is measured of the hops; nil while nothing is. doubt says why it is not acted on; empty if it is.
	hops  map[translate.HopKey]v1alpha1.HopStatus
	doubt string
	// policies and peers say which hops are drained.
	policies []v1alpha1.WANPolicy
	peers    []v1alpha1.Peer
	// withdrawn is why the peer's exports count as draining, empty if they do not; withdrawAfter is how long neither the feed
	// nor a hop has to answer for that.
	withdrawn     string
	withdrawAfter time.Duration
	// before is what the status says now.
	before v1alpha1.PeerStatus
}

func (s peerState) drained(key translate.HopKey) bool {
	return translate.Drained(key, s.policies, s.peers)
}

// peerStatus is the status of a Peer, its conditions without times. While nothing has been heard of the feed in this life
// of the process, what an earlier one heard stands: a restart changes nothing.
func peerStatus(s peerState) v1alpha1.PeerStatus {
	if s.report.Reason == v1alpha1.ReasonPending && heardBefore(s) {
		return withHops(s.before, s)
	}
	feedReady := feedCondition(s)
	advertisements := advertisementsCondition(s)
	out := v1alpha1.PeerStatus{
		Conditions:     []metav1.Condition{s.accepted, feedReady, advertisements, readyCondition(s, feedReady)},
		Advertisements: s.report.Counts,
	}
	if card := s.report.Card; card != nil {
		out.ClusterUID = card.ClusterUID
		out.CardGeneration = card.Generation
		out.Versions = card.Versions
		out.TrustRoot = card.TrustRoot
	}
	return withHops(out, s)
}

// heardBefore tells whether the status already says how the feed is, of a Peer that has not changed since.
func heardBefore(s peerState) bool {
	ready := meta.FindStatusCondition(s.before.Conditions, v1alpha1.ConditionFeedReady)
	accepted := meta.FindStatusCondition(s.before.Conditions, v1alpha1.ConditionAccepted)
	return ready != nil && ready.Status != metav1.ConditionUnknown && s.accepted.Status == metav1.ConditionTrue &&
		accepted != nil && accepted.Status == s.accepted.Status && accepted.ObservedGeneration == s.accepted.ObservedGeneration
}

// feedCondition is False or Unknown while the feed cannot be read; neither deletes anything.
func feedCondition(s peerState) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionFeedReady, Status: metav1.ConditionFalse, Reason: s.report.Reason, Message: s.report.Message}
	switch {
	case s.accepted.Status != metav1.ConditionTrue:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonPending, "the feed is not read while the Peer is not accepted"
	case s.report.Reason == v1alpha1.ReasonSynced:
		c.Status = metav1.ConditionTrue
		c.Message = withNotices(cmp.Or(s.report.Message, "the feed is read and watched"), s.report.Notices)
	case s.report.Reason == v1alpha1.ReasonPending:
		c.Status = metav1.ConditionUnknown
	}
	if c.Message == "" {
		c.Message = "the feed cannot be read"
	}
	return c
}

// withNotices adds what an operator should know besides.
func withNotices(message string, notices []feed.Notice) string {
	parts := []string{message}
	for _, n := range notices {
		parts = append(parts, n.Reason+": "+n.Message)
	}
	return strings.Join(parts, "; ")
}

func advertisementsCondition(s peerState) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionAdvertisementsAccepted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAllAccepted, Message: "all advertisements of the peer are accepted"}
	switch {
	case s.accepted.Status != metav1.ConditionTrue:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonPending, "the peer's advertisements are not read while the Peer is not accepted"
	case s.report.Counts.Refused > 0:
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonSomeRefused
		c.Message = fmt.Sprintf("%d advertisements of the peer are refused; see status.advertisements.refusals", s.report.Counts.Refused)
	case !s.report.SyncedOnce:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonPending, "the peer's advertisements have not been read yet"
	}
	return c
}

// readyCondition sums up: the first of what is wrong.
func readyCondition(s peerState, feedReady metav1.Condition) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	switch {
	case s.accepted.Status != metav1.ConditionTrue:
		c.Reason, c.Message = s.accepted.Reason, s.accepted.Message
	case feedReady.Status == metav1.ConditionTrue:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonReady, "the peer is joined and read"
	case s.givenUp:
		c.Reason = v1alpha1.ReasonGivenUp
		c.Message = fmt.Sprintf("not read within %s, so imports are written without waiting for it; %s", s.timeout, feedReady.Message)
	default:
		c.Status, c.Reason, c.Message = feedReady.Status, feedReady.Reason, feedReady.Message
	}
	return c
}

// hopsOf are the ways to a cluster: each of its addresses on each of its policies' ports, nothing known of them.
func hopsOf(card v1alpha1.ClusterAdvertisementSpec) []v1alpha1.HopStatus {
	var out []v1alpha1.HopStatus
	for _, p := range card.Policies {
		for _, address := range card.Addresses {
			out = append(out, v1alpha1.HopStatus{Policy: p.Name, Tunnel: p.Tunnel, Address: address, Port: p.Port, State: v1alpha1.HopUnknown})
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.HopStatus) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
	return out
}
