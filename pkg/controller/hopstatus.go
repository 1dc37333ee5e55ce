// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// withHops adds to a status what is known of the peer's hops: as measured, else as it was found, else nothing.
func withHops(status v1alpha1.PeerStatus, s peerState) v1alpha1.PeerStatus {
	found := map[v1alpha1.HopStatus]v1alpha1.HopStatus{}
	for _, h := range s.before.Hops {
		found[placeOf(h)] = h
	}
	status.Hops = hopsOf(s.effective)
	for i, h := range status.Hops {
		known, ok := s.hops[hopKey(s.effective.ClusterID, h)]
		if !ok {
			known, ok = found[placeOf(h)]
		}
		if ok {
			known.Tunnel = h.Tunnel
			status.Hops[i] = known
		}
		status.Hops[i].Drained = s.drained(hopKey(s.effective.ClusterID, h))
	}
	conditions := slices.Clone(status.Conditions)
	conditions = slices.DeleteFunc(conditions, func(c metav1.Condition) bool {
		return c.Type == v1alpha1.ConditionHopsHealthy || c.Type == v1alpha1.ConditionReachable
	})
	status.Conditions = append(conditions, hopsCondition(status.Hops, s), reachCondition(s))
	return status
}

// reachCondition is what makes exports of a peer count as draining.
func reachCondition(s peerState) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue, ObservedGeneration: s.accepted.ObservedGeneration,
		Reason: v1alpha1.ReasonReachable, Message: "the peer's exports are used",
	}
	if s.withdrawn != "" {
		c.Status, c.Reason = metav1.ConditionFalse, s.withdrawn
		c.Message = fmt.Sprintf("neither the feed nor any hop has answered for %s: the peer's exports are used only where no other cluster serves, until one of them is back", s.withdrawAfter)
	}
	if s.withdrawn == v1alpha1.ReasonRefused {
		c.Message = "the peer turns this cluster away: its exports are used only where no other cluster serves, until its feed can be read again"
	}
	return c
}

// placeOf is where a hop is, and nothing of how it is.
func placeOf(h v1alpha1.HopStatus) v1alpha1.HopStatus {
	return v1alpha1.HopStatus{Policy: h.Policy, Address: h.Address, Port: h.Port}
}

// hopsCondition sums the hops up.
func hopsCondition(hops []v1alpha1.HopStatus, s peerState) metav1.Condition {
	count := map[v1alpha1.HopState]int{}
	for _, h := range hops {
		count[h.State]++
	}
	c := metav1.Condition{Type: v1alpha1.ConditionHopsHealthy, Status: metav1.ConditionFalse, ObservedGeneration: s.accepted.ObservedGeneration}
	dead, degraded := count[v1alpha1.HopDead], count[v1alpha1.HopDegraded]
	switch {
	case s.doubt != "" && s.accepted.Status == metav1.ConditionTrue && len(hops) > 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonProbeBroken
		c.Message = s.doubt + "; hops stay in their order, dead ones last, and Envoy's own detection rules"
	case s.accepted.Status != metav1.ConditionTrue || count[v1alpha1.HopUnknown] == len(hops):
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonNotMeasured, "no hop to the peer has been measured yet"
	case dead == len(hops):
		c.Reason, c.Message = v1alpha1.ReasonAllHopsDead, "no hop to the peer answers"
	case dead > 0:
		c.Reason = v1alpha1.ReasonHopsDead
		c.Message = fmt.Sprintf("of %d hops %d are dead and %d degraded; traffic uses the others, see status.hops", len(hops), dead, degraded)
	case degraded > 0:
		c.Reason = v1alpha1.ReasonHopsDegraded
		c.Message = fmt.Sprintf("of %d hops %d are not within the service level of their policy; traffic prefers the others, see status.hops", len(hops), degraded)
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonAllHealthy, "all measured hops to the peer keep the service level of their policies"
	}
	return c
}
