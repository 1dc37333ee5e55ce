// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// store is where the feed writes what it accepted of peers.
type store struct{ *core }

var _ feed.Sink = (*store)(nil)

// Card returns the copy of a cluster's card.
func (s *store) Card(ctx context.Context, clusterID string) (*v1alpha1.ClusterAdvertisement, error) {
	card := &v1alpha1.ClusterAdvertisement{}
	err := s.cache.Get(ctx, types.NamespacedName{Namespace: v1alpha1.Namespace, Name: clusterID}, card)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the card of %s: %w", clusterID, err)
	}
	if err != nil || !feed.Mine(card, clusterID) {
		return nil, nil
	}
	return card, nil
}

// ApplyCard writes the copy of a card.
func (s *store) ApplyCard(ctx context.Context, card *v1alpha1.ClusterAdvertisement) error {
	return s.copy(ctx, card, &v1alpha1.ClusterAdvertisement{}, card.Spec.ClusterID)
}

// Copies returns the copies of a cluster's advertisements.
func (s *store) Copies(ctx context.Context, clusterID string) ([]v1alpha1.ServiceAdvertisement, error) {
	var list v1alpha1.ServiceAdvertisementList
	if err := s.cache.List(ctx, &list, client.InNamespace(v1alpha1.Namespace), client.MatchingFields{indexSource: clusterID}); err != nil {
		return nil, fmt.Errorf("listing the copies of %s: %w", clusterID, err)
	}
	var out []v1alpha1.ServiceAdvertisement
	for _, adv := range list.Items {
		if feed.Mine(&adv, clusterID) {
			out = append(out, adv)
		}
	}
	return out, nil
}

// ApplyAdvertisement writes a copy.
func (s *store) ApplyAdvertisement(ctx context.Context, adv *v1alpha1.ServiceAdvertisement) error {
	return s.copy(ctx, adv, &v1alpha1.ServiceAdvertisement{}, adv.Spec.ClusterID)
}

// copy writes a copy over nothing or over an older copy of the same cluster's.
func (s *store) copy(ctx context.Context, obj, live client.Object, clusterID string) error {
	err := s.cache.Get(ctx, client.ObjectKeyFromObject(obj), live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading a copy of %s: %w", clusterID, err)
	}
	if err == nil && !feed.Mine(live, clusterID) {
		return feed.ErrNotOurs
	}
	_, err = s.writeOne(ctx, obj)
	if _, foreign := apply.IsForeign(err); foreign {
		return feed.ErrNotOurs
	}
	return err
}

// DeleteAdvertisement removes a copy.
func (s *store) DeleteAdvertisement(ctx context.Context, clusterID, name string) error {
	adv := &v1alpha1.ServiceAdvertisement{}
	err := s.cache.Get(ctx, types.NamespacedName{Namespace: v1alpha1.Namespace, Name: name}, adv)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	return s.deleteCopy(ctx, adv, clusterID)
}

func (s *store) deleteCopy(ctx context.Context, adv *v1alpha1.ServiceAdvertisement, clusterID string) error {
	if !feed.Mine(adv, clusterID) {
		return nil
	}
	adv.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(v1alpha1.ServiceAdvertisementKind))
	change, err := s.applier.Delete(ctx, adv)
	s.metrics.wrote(change)
	return err
}

// Report notes how a feed is, and has everything looked at that depends on it.
func (s *store) Report(report feed.PeerReport) {
	before := s.peerBook.get(report.ClusterID)
	s.peerBook.set(report)
	if report.SyncedOnce {
		s.imports.ask(s.gate.sync(report.ClusterID)...)
	}
	s.peers.ask(types.NamespacedName{Namespace: v1alpha1.Namespace, Name: report.ClusterID})
	if before.Reason != report.Reason {
		s.exports.ask(s.drainingExports()...)
		s.lookAtHops()
	}
}

// drainingExports are the own exports that wait for others to stop using them.
func (c *core) drainingExports() []types.NamespacedName {
	var list v1alpha1.ServiceAdvertisementList
	err := c.cache.List(context.Background(), &list, client.InNamespace(v1alpha1.Namespace), client.MatchingFields{indexSource: c.self.ID}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil // the deadline of each draining has it looked at again
	}
	var out []types.NamespacedName
	for i := range list.Items {
		if list.Items[i].Spec.Draining {
			out = append(out, serviceOf(&list.Items[i]))
		}
	}
	return out
}

// lookup finds the accepted peer whose egress gateway has the SPIFFE id.
func (s *store) lookup(egressIdentity string) (v1alpha1.PeerSpec, bool) {
	l := s.lister(context.Background())
	peers := translate.AcceptedPeers(s.self, l.Peers())
	if l.Err() != nil {
		return v1alpha1.PeerSpec{}, false
	}
	for _, p := range peers {
		if p.Spec.Identities.Egress == egressIdentity {
			return p.Spec, true
		}
	}
	return v1alpha1.PeerSpec{}, false
}
