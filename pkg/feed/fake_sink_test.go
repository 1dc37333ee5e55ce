// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

// memorySink keeps copies in memory, as the local API server does.
type memorySink struct {
	mu      sync.Mutex
	cards   map[string]*v1alpha1.ClusterAdvertisement
	copies  map[string]*v1alpha1.ServiceAdvertisement
	reports map[string][]feed.PeerReport
	writes  int
	fail    func(name string) error
}

func newMemorySink() *memorySink {
	return &memorySink{
		cards: map[string]*v1alpha1.ClusterAdvertisement{}, copies: map[string]*v1alpha1.ServiceAdvertisement{},
		reports: map[string][]feed.PeerReport{},
	}
}

func (s *memorySink) Card(_ context.Context, clusterID string) (*v1alpha1.ClusterAdvertisement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cards[clusterID].DeepCopy(), nil
}

func (s *memorySink) ApplyCard(_ context.Context, card *v1alpha1.ClusterAdvertisement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	s.cards[card.Name] = card.DeepCopy()
	return nil
}

func (s *memorySink) Copies(_ context.Context, clusterID string) ([]v1alpha1.ServiceAdvertisement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []v1alpha1.ServiceAdvertisement
	for _, c := range s.copies {
		if feed.Mine(c, clusterID) {
			out = append(out, *c.DeepCopy())
		}
	}
	return out, nil
}

func (s *memorySink) ApplyAdvertisement(_ context.Context, adv *v1alpha1.ServiceAdvertisement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(adv.Name); err != nil {
			return err
		}
	}
	if old, ok := s.copies[adv.Name]; ok && !feed.Mine(old, adv.Spec.ClusterID) {
		return feed.ErrNotOurs
	}
	s.writes++
	s.copies[adv.Name] = adv.DeepCopy()
	return nil
}

func (s *memorySink) DeleteAdvertisement(_ context.Context, clusterID, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.copies[name]; ok {
		if !feed.Mine(old, clusterID) {
			return errors.New("the feed deletes what is not its own")
		}
		s.writes++
		delete(s.copies, name)
	}
	return nil
}

func (s *memorySink) Report(report feed.PeerReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports[report.ClusterID] = append(s.reports[report.ClusterID], report)
}

// last is the newest report of a peer.
func (s *memorySink) last(clusterID string) feed.PeerReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.reports[clusterID]; len(all) > 0 {
		return all[len(all)-1]
	}
	return feed.PeerReport{}
}

// names are the services of which there are copies, as namespace/name.
func (s *memorySink) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]bool{}
	for _, c := range s.copies {
		found[c.Spec.Namespace+"/"+c.Spec.Name] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func (s *memorySink) set(f func(*memorySink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *memorySink) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}
