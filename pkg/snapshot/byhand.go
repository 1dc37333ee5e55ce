// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// ByHand is an advertisement that an operator wrote.
type ByHand struct {
	Advertisement *v1alpha1.ServiceAdvertisement
	// Refusal is why it is not acted on, or the cluster cannot be reached; nil where neither is so.
	Refusal *v1alpha1.Refusal
}

// Accepted is the condition Accepted of the advertisement, without time.
func (h ByHand) Accepted() metav1.Condition {
	out := metav1.Condition{
		Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted,
		Message: "The service is imported where its namespace is.", ObservedGeneration: h.Advertisement.Generation,
	}
	if h.Refusal != nil {
		out.Status, out.Reason, out.Message = metav1.ConditionFalse, h.Refusal.Reason, h.Refusal.Message
	}
	return out
}

// WrittenByHand are the hand-written advertisements of a service, and why some are not acted on.
func WrittenByHand(l Lister, key types.NamespacedName) []ByHand {
	self, peers := l.Self(), l.Accepted()
	var out []ByHand
	for _, a := range l.Advertisements(key.Namespace, key.Name) {
		if !IsByHand(a.Labels) {
			continue
		}
		refusal := refuseByHand(self, peers, &a)
		if refusal == nil {
			refusal = refuseCard(l, &a)
		}
		if refusal != nil {
			refusal.Name = key.String()
		}
		out = append(out, ByHand{Advertisement: a.DeepCopy(), Refusal: refusal})
	}
	return out
}

// refuseByHand is why a hand-written advertisement does not count; nil when it does. Nobody but a cluster itself speaks
// for it: not for the own one, and not for one whose feed is read.
func refuseByHand(self translate.Cluster, peers map[string]v1alpha1.Peer, a *v1alpha1.ServiceAdvertisement) *v1alpha1.Refusal {
	id := a.Spec.ClusterID
	refuse := func(reason, format string, args ...any) *v1alpha1.Refusal {
		return &v1alpha1.Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	_, joined := peers[id]
	switch {
	case !trueSource(a.Labels, id):
		return refuse(v1alpha1.RefusedCluster, "the label %s must be spec.clusterID, %s", v1alpha1.LabelSourceCluster, id)
	case id == self.ID:
		return refuse(v1alpha1.RefusedCluster, "%s is this cluster: what it exports is said by ServiceExports", id)
	case joined:
		return refuse(v1alpha1.RefusedCluster, "%s has joined, so only what its feed says counts; remove this one (mcwanctl unimport)", id)
	case !MayImport(nil, a.Spec.Namespace):
		return refuse(v1alpha1.RefusedNamespace, "nothing is imported into namespace %s, which is protected", a.Spec.Namespace)
	}
	for _, err := range []error{mcs.Validate(a.Spec), advertise.CheckFailover(a.Spec.Failover), checkRules(a.Spec.Rules)} {
		if err != nil {
			return refuse(v1alpha1.RefusedBounds, "%v", err)
		}
	}
	return nil
}

// checkRules: an owner's rules become configuration of the own egress gateway, whoever wrote them down.
func checkRules(rules *mcwanv1alpha1.ServiceExportSpec) error {
	if rules == nil {
		return nil
	}
	if err := mcs.CheckOwnerRules(rules); err != nil {
		return fmt.Errorf("rules.%w", err)
	}
	return nil
}

// refuseCard is why the cluster of a hand-written advertisement cannot be reached; nil when it can.
func refuseCard(l Lister, a *v1alpha1.ServiceAdvertisement) *v1alpha1.Refusal {
	for _, c := range l.Cards() {
		if c.Spec.ClusterID != a.Spec.ClusterID || !IsByHand(c.Labels) || !trueSource(c.Labels, c.Spec.ClusterID) {
			continue
		}
		if err := translate.CheckHandWrittenCard(l.Self(), c.Spec); err != nil {
			return &v1alpha1.Refusal{Reason: v1alpha1.RefusedAddress, Message: fmt.Sprintf("the card of %s: %v", a.Spec.ClusterID, err)}
		}
		return nil
	}
	return &v1alpha1.Refusal{Reason: v1alpha1.RefusedAddress, Message: fmt.Sprintf("there is no hand-written ClusterAdvertisement of %s that says where it is; use mcwanctl import", a.Spec.ClusterID)}
}

// IsByHand says that an operator wrote the object, not a feed.
func IsByHand(labels map[string]string) bool {
	v, ok := labels[v1alpha1.LabelManual]
	return ok && v != "false"
}
