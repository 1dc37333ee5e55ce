// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// ByHand is an advertisement that an operator wrote and that is not acted on.
type ByHand struct {
	Advertisement *v1alpha1.ServiceAdvertisement
	Refusal       v1alpha1.Refusal
}

// RefusedByHand are the hand-written advertisements of a service that are not acted on, and why. One that is acted on may
// still wait for the card of its cluster.
func RefusedByHand(l Lister, key types.NamespacedName) []ByHand {
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
			out = append(out, ByHand{Advertisement: a.DeepCopy(), Refusal: *refusal})
		}
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
	if err := mcs.Validate(a.Spec); err != nil {
		return refuse(v1alpha1.RefusedBounds, "%v", err)
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
