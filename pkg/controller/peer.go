// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// peerReconciler reads the feeds of the accepted peers, tells how that goes, and forgets who left.
type peerReconciler struct {
	*core
	store     *store
	readers   *feed.Readers
	announcer *feed.Announcer
}

func (r *peerReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	l := r.lister(ctx)
	peers := l.Peers()
	if err := l.Err(); err != nil {
		return reconcile.Result{}, err
	}
	r.attend(peers)
	for i := range peers {
		if peers[i].Name == req.Name && peers[i].DeletionTimestamp == nil {
			return r.tell(ctx, l, peers, peers[i])
		}
	}
	return reconcile.Result{}, r.forget(ctx, req.Name)
}

// attend reads and tells the accepted peers and nobody else. What was reported of the feed of one that is accepted no more
// goes: nobody reports that its reader stopped.
func (r *peerReconciler) attend(peers []v1alpha1.Peer) {
	var specs []v1alpha1.PeerSpec
	var ids []string
	for _, p := range translate.AcceptedPeers(r.self, peers) {
		if p.DeletionTimestamp == nil {
			specs, ids = append(specs, p.Spec), append(ids, p.Spec.ClusterID)
		}
	}
	r.readers.SetPeers(specs) // first, so that no reader reports after that
	r.peerBook.keep(ids)
	r.announcer.SetPeers(ids)
}

// forget removes what a cluster that left has published, and its card. Only a deleted Peer does that: one that cannot be
// read, or whose spec is refused, is unknown, not gone.
func (r *peerReconciler) forget(ctx context.Context, id string) error {
	if id == r.self.ID {
		return nil
	}
	copies, err := r.store.Copies(ctx, id)
	if err != nil {
		return err
	}
	for i := range copies {
		if err := r.store.deleteCopy(ctx, &copies[i], id); err != nil {
			return err
		}
	}
	if err := r.forgetCard(ctx, id); err != nil {
		return err
	}
	r.peerBook.forget(id)
	r.imports.ask(r.gate.forget(id)...)
	r.metrics.forgetPeer(id)
	return nil
}

func (r *peerReconciler) forgetCard(ctx context.Context, id string) error {
	card, err := r.store.Card(ctx, id)
	if err != nil || card == nil {
		return err
	}
	card.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(v1alpha1.ClusterAdvertisementKind))
	change, err := r.applier.Delete(ctx, card)
	r.metrics.wrote(change)
	return err
}

// tell writes the Peer's status.
func (r *peerReconciler) tell(ctx context.Context, l *lister, all []v1alpha1.Peer, peer v1alpha1.Peer) (reconcile.Result, error) {
	report := r.peerBook.get(peer.Spec.ClusterID)
	card, policies, self := cardOf(l, peer.Spec.ClusterID), l.Policies(), snapshot.Self(l)
	if err := l.Err(); err != nil {
		return reconcile.Result{}, err
	}
	if report.Card == nil {
		report.Card = card
	}
	effective := translate.EffectiveCard(self, peer, report.Card)
	accepted := translate.WithUnknownDrains(translate.ValidatePeers(r.self, all)[peer.Name], peer, policies, effective.Policies)
	r.recall(peer)
	givenUp, left := r.gate.givenUp(peer.Spec.ClusterID)
	told := &v1alpha1.Peer{}
	told.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(v1alpha1.PeerKind))
	told.Namespace, told.Name, told.UID, told.Generation = peer.Namespace, peer.Name, peer.UID, peer.Generation
	hops, doubt := r.hops.of(peer.Spec.ClusterID)
	withdrawn := r.reach.withdrawn(peer.Spec.ClusterID, peer.Status)
	told.Status = peerStatus(peerState{
		hops: hops, doubt: doubt, policies: policies, peers: all,
		withdrawn: withdrawn, withdrawAfter: r.opts.WithdrawAfter,
		accepted: accepted, report: report, givenUp: givenUp, timeout: r.opts.PeerSyncTimeout,
		effective: effective, before: peer.Status,
	})
	r.measure(report, doubt != "", withdrawn != "")
	return reconcile.Result{RequeueAfter: lookAgain(givenUp, left)}, r.status(ctx, told)
}

// lookAgain is when a peer that has not been read will be given up on.
func lookAgain(givenUp bool, left time.Duration) time.Duration {
	if givenUp || left <= 0 {
		return 0
	}
	return left
}

func (r *peerReconciler) measure(report feed.PeerReport, doubted, withdrawn bool) {
	set := func(gauge *prometheus.GaugeVec, v float64) { gauge.WithLabelValues(report.ClusterID).Set(v) }
	set(r.metrics.peerSynced, oneIf(report.Reason == v1alpha1.ReasonSynced))
	set(r.metrics.accepted, float64(report.Counts.Accepted))
	set(r.metrics.refused, float64(report.Counts.Refused))
	set(r.metrics.doubted, oneIf(doubted))
	set(r.metrics.withdrawn, oneIf(withdrawn))
}

// oneIf is how a gauge says yes.
func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// cardOf is the copy of a peer's card; nil when there is none.
func cardOf(l *lister, id string) *v1alpha1.ClusterAdvertisementSpec {
	cards := l.Cards()
	for i := range cards {
		if cards[i].Spec.ClusterID == id && feed.Mine(&cards[i], id) {
			return cards[i].Spec.DeepCopy()
		}
	}
	return nil
}

// leftBehind is the key of the Peer of a cluster of which a copy stands here; true if there is no such Peer, so that the
// copy has to go.
func (c *core) leftBehind(ctx context.Context, source string) (types.NamespacedName, bool) {
	key := types.NamespacedName{Namespace: v1alpha1.Namespace, Name: source}
	if source == "" || source == c.self.ID {
		return key, false
	}
	err := c.cache.Get(ctx, key, &v1alpha1.Peer{})
	return key, apierrors.IsNotFound(err)
}

// sourceOf is the cluster of which obj is a copy; empty for what was written by hand.
func sourceOf(obj client.Object) string {
	id := obj.GetLabels()[v1alpha1.LabelSourceCluster]
	if !feed.Mine(obj, id) {
		return ""
	}
	return id
}
