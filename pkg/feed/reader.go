// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// reader reads one peer: two streams fill the ledger, one goroutine carries out its plans.
type reader struct {
	opts      ReaderOptions
	clusterID string
	log       logr.Logger
	changed   chan struct{} // holds one token: plan again
	writes    *rate.Limiter
	retry     backoff

	mu     sync.Mutex
	ledger *ledger
	reload bool

	reported *PeerReport // of the planning goroutine alone
}

func newReader(opts ReaderOptions, peer v1alpha1.PeerSpec) *reader {
	r := &reader{
		opts:      opts,
		clusterID: peer.ClusterID,
		log:       opts.Log.WithValues("peer", peer.ClusterID),
		changed:   make(chan struct{}, 1),
		writes:    rate.NewLimiter(rate.Limit(opts.Limits.WritesPerSecond), max(1, int(10*opts.Limits.WritesPerSecond))),
		retry:     backoff{least: opts.Timing.MinBackoff, most: opts.Timing.MaxBackoff},
		reload:    true,
	}
	r.ledger = newLedger(r.rules(peer), opts.NameOf, opts.Limits, opts.Timing)
	return r
}

func (r *reader) rules(peer v1alpha1.PeerSpec) Rules {
	return Rules{Peer: peer, Protected: r.opts.Protected, OwnAddress: r.opts.OwnAddress}
}

// setPeer takes a changed spec of the Peer.
func (r *reader) setPeer(peer v1alpha1.PeerSpec) {
	r.update(func(l *ledger) {
		if !reflect.DeepEqual(l.rules.Peer, peer) {
			l.setRules(r.rules(peer))
		}
	})
}

// recheck asks the Sink anew what it holds.
func (r *reader) recheck() {
	r.mu.Lock()
	r.reload = true
	r.mu.Unlock()
	r.wake()
}

func (r *reader) update(f func(*ledger)) {
	r.mu.Lock()
	f(r.ledger)
	r.mu.Unlock()
	r.wake()
}

func (r *reader) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// run reads until ctx ends, and returns when nothing of it is left.
func (r *reader) run(ctx context.Context) error {
	client, err := newClient(r.opts.BaseURL(r.clusterID), newGuard(r.opts.Transport, r.opts.Limits, r.opts.Timing))
	if err != nil {
		return fmt.Errorf("peer %s: %w", r.clusterID, err)
	}
	var streams sync.WaitGroup
	defer streams.Wait()
	for _, f := range []*follower{r.newFollower(cardSide, client), r.newFollower(advertisementSide, client)} {
		streams.Go(func() { f.run(ctx) })
	}
	r.carryOut(ctx)
	return nil
}

// carryOut makes and executes plans.
func (r *reader) carryOut(ctx context.Context) {
	resync := time.NewTicker(r.opts.Timing.Resync)
	defer resync.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-resync.C:
			r.recheck()
			continue
		case <-r.changed:
		case <-timer.C:
		}
		next, took, ok := r.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if ok {
			r.retry.reset()
		} else {
			next = time.Now().Add(r.retry.next())
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		if !sleep(ctx, max(r.opts.Timing.Coalesce, min(planShare*took, planPause))) {
			return
		}
	}
}

// planShare bounds what planning for one peer costs, however often the peer changes what it publishes: one part in so
// many of a CPU. A plan goes through all advertisements of the peer (10,000 of them take about 15 ms).
const planShare = 10

// planPause bounds the pause that follows from planShare: what planning took is wall time, which says little about a
// CPU that others keep busy.
const planPause = 250 * time.Millisecond

// round makes one plan and executes it; when to do so again at the latest, how long planning took, and whether all
// went well.
func (r *reader) round(ctx context.Context) (time.Time, time.Duration, bool) {
	if err := r.load(ctx); err != nil {
		r.log.Error(err, "Cannot read the copies of the peer's advertisements")
		return time.Time{}, 0, false
	}
	begin := time.Now()
	r.mu.Lock()
	p := r.ledger.plan(begin)
	r.mu.Unlock()
	took := time.Since(begin)
	err := r.execute(ctx, p)
	if ctx.Err() != nil {
		return time.Time{}, took, false
	}
	if err != nil {
		r.log.Error(err, "Cannot write down what the peer publishes")
		p.report.Reason, p.report.Message = v1alpha1.ReasonPending, "what the peer publishes cannot all be written to this cluster's API server: see the log of mcwan-controller"
		p.report.SyncedOnce = false
	}
	r.mu.Lock()
	r.ledger.syncedOnce = r.ledger.syncedOnce || p.report.SyncedOnce
	p.report.SyncedOnce = r.ledger.syncedOnce
	r.mu.Unlock()
	r.report(p.report)
	return p.wake, took, err == nil
}

// load asks the Sink for the card in use and, when that is due, for the copies.
func (r *reader) load(ctx context.Context) error {
	card, err := r.opts.Sink.Card(ctx, r.clusterID)
	if err != nil {
		return fmt.Errorf("card of %s: %w", r.clusterID, err)
	}
	r.mu.Lock()
	due := r.reload
	r.reload = false
	r.ledger.known = nil
	if card != nil {
		r.ledger.known = card.Spec.DeepCopy()
	}
	r.mu.Unlock()
	if !due {
		return nil
	}
	copies, err := r.opts.Sink.Copies(ctx, r.clusterID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.reload = true
		return fmt.Errorf("advertisements of %s: %w", r.clusterID, err)
	}
	r.ledger.seed(copies)
	return nil
}

// execute writes; the card first, since what the advertisements name is reached by it. One object that cannot be
// written does not keep the others from it.
func (r *reader) execute(ctx context.Context, p plan) error {
	var failed error
	if p.card != nil {
		if err := r.opts.Sink.ApplyCard(ctx, CardCopy(p.card)); err != nil {
			failed = errors.Join(failed, fmt.Errorf("card: %w", err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.apply)) {
		if err := r.apply(ctx, name, p.apply[name]); err != nil {
			failed = errors.Join(failed, fmt.Errorf("advertisement %s: %w", name, err))
		}
	}
	for _, name := range p.remove {
		if err := r.remove(ctx, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("advertisement %s: %w", name, err))
		}
	}
	return failed
}

func (r *reader) apply(ctx context.Context, name string, spec *v1alpha1.ServiceAdvertisementSpec) error {
	if err := r.writes.Wait(ctx); err != nil {
		return fmt.Errorf("wait for a turn: %w", err)
	}
	err := r.opts.Sink.ApplyAdvertisement(ctx, AdvertisementCopy(r.opts.NameOf, spec))
	switch {
	case err == nil:
		r.mu.Lock()
		r.ledger.applied(name, spec)
		r.mu.Unlock()
	case errors.Is(err, ErrNotOurs):
		r.turnedAway(name, spec, refuse(v1alpha1.RefusedConflict, "%s", ErrNotOurs.Error()))
	case apierrors.IsInvalid(err):
		r.log.Error(err, "The API server refuses a copy", "name", name)
		r.turnedAway(name, spec, refuse(v1alpha1.RefusedBounds, "this cluster's API server refuses the copy: see the log of mcwan-controller"))
	default:
		return err // wrapped by execute
	}
	return nil
}

func (r *reader) turnedAway(name string, spec *v1alpha1.ServiceAdvertisementSpec, v verdict) {
	r.update(func(l *ledger) { l.turnedAway(name, spec, v) })
}

func (r *reader) remove(ctx context.Context, name string) error {
	if err := r.writes.Wait(ctx); err != nil {
		return fmt.Errorf("wait for a turn: %w", err)
	}
	if err := r.opts.Sink.DeleteAdvertisement(ctx, r.clusterID, name); err != nil {
		return err // wrapped by execute
	}
	r.mu.Lock()
	r.ledger.dropped(name)
	r.mu.Unlock()
	return nil
}

func (r *reader) report(report PeerReport) {
	if r.reported != nil && reflect.DeepEqual(*r.reported, report) {
		return
	}
	r.reported = &report
	r.opts.Sink.Report(report)
}
