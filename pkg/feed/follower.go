// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// follower keeps one stream of a feed going: list, watch, and again.
type follower struct {
	reader *reader
	side   side
	source *source
	log    logr.Logger
	pause  backoff

	mu     sync.Mutex
	giveUp context.CancelFunc // ends the current attempt
	steady bool               // a watch of the current attempt has lasted
}

func (r *reader) newFollower(side side, client rest.Interface) *follower {
	f := &follower{
		reader: r, side: side,
		pause: backoff{least: r.opts.Timing.MinBackoff, most: r.opts.Timing.MaxBackoff},
	}
	f.source = &source{
		client: client, kind: v1alpha1.ServiceAdvertisementKind, resource: resourceAdvertisement,
		limits: r.opts.Limits, timing: r.opts.Timing,
		failed: f.failed, opened: f.opened,
	}
	if side == cardSide {
		f.source.kind, f.source.resource = v1alpha1.ClusterAdvertisementKind, resourceCard
	}
	f.log = r.log.WithValues("resource", f.source.resource)
	return f
}

// run follows the stream until ctx ends. The reflector's own loop is not used: its pauses begin at 0.8 s and grow
// small again only after two minutes, whatever went well in between.
func (f *follower) run(ctx context.Context) {
	ctx = klog.NewContext(ctx, f.log.V(1))
	logger := klog.FromContext(ctx)
	reflector := cache.NewReflectorWithOptions(f.source, &item{}, &shelf{f}, cache.ReflectorOptions{
		Name: f.reader.clusterID, TypeDescription: f.source.kind, Logger: &logger,
	})
	for {
		attempt, cancel := context.WithCancel(ctx)
		f.begin(cancel)
		if err := reflector.ListAndWatchWithContext(attempt); err != nil && ctx.Err() == nil {
			f.log.V(1).Info("The peer's feed cannot be read", "err", err.Error())
		}
		cancel()
		if f.lasted() {
			f.pause.reset()
		}
		if !sleep(ctx, f.pause.next()) {
			return
		}
	}
}

func (f *follower) begin(cancel context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.giveUp, f.steady = cancel, false
}

func (f *follower) lasted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steady
}

// failed takes what went wrong. It is logged when the problem is another one than before. A peer whose answers cannot
// be read soon spends its budget on them: that says less than what it spent it on.
func (f *follower) failed(p problem, cause error) {
	news := false
	f.reader.update(func(l *ledger) {
		s := &l.streams[f.side]
		if s.problem == p || p == overBudget(f.source.limits) && s.problem.reason == p.reason {
			return
		}
		news, s.problem = true, p
	})
	if news {
		f.log.Info("The peer's feed cannot be read", "reason", p.reason, "cause", fmt.Sprint(cause))
	}
}

// opened: a watch has begun. What cannot be read shows only when it comes, so that problem stays for a while. What it
// returns is to be called when the watch has ended.
func (f *follower) opened() func() {
	f.reader.update(func(l *ledger) {
		s := &l.streams[f.side]
		s.opened = true
		if s.problem.reason != v1alpha1.ReasonUnreadable {
			s.problem = problem{}
		}
	})
	probation := time.AfterFunc(f.reader.opts.Timing.Probation, f.passed)
	return func() { probation.Stop() }
}

func (f *follower) passed() {
	f.mu.Lock()
	f.steady = true
	f.mu.Unlock()
	f.reader.update(func(l *ledger) { l.streams[f.side].problem = problem{} })
}

// overflow ends the attempt: what was left out must not be forgotten, so the next one lists anew.
func (f *follower) overflow() {
	f.failed(tooMany(f.reader.opts.Limits), nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.giveUp()
}

// shelf is where the reflector puts what it reads.
type shelf struct{ *follower }

// Add is what cache.ReflectorStore asks for.
func (s *shelf) Add(obj any) error { return s.Update(obj) }

// Update is what cache.ReflectorStore asks for.
func (s *shelf) Update(obj any) error {
	it, err := asItem(obj)
	if err != nil {
		return err
	}
	fits := true
	s.reader.update(func(l *ledger) {
		if s.side == advertisementSide {
			fits = l.add(it, time.Now())
		} else if it.Name == s.reader.clusterID {
			l.setCard(it, time.Now())
		}
	})
	if !fits {
		s.overflow()
	}
	return nil
}

// Delete is what cache.ReflectorStore asks for.
func (s *shelf) Delete(obj any) error {
	it, err := asItem(obj)
	if err != nil {
		return err
	}
	s.reader.update(func(l *ledger) {
		if s.side == advertisementSide {
			l.remove(it.Name, time.Now())
		} else if it.Name == s.reader.clusterID {
			l.setCard(nil, time.Now())
		}
	})
	return nil
}

// Replace is what cache.ReflectorStore asks for: a whole list, all pages of it.
func (s *shelf) Replace(objs []any, _ string) error {
	items := make([]*item, 0, len(objs))
	var card *item
	for _, obj := range objs {
		it, err := asItem(obj)
		if err != nil {
			return err
		}
		if items = append(items, it); it.Name == s.reader.clusterID {
			card = it
		}
	}
	s.reader.update(func(l *ledger) {
		l.streams[s.side].read = true
		if s.side == advertisementSide {
			l.replace(items, time.Now())
		} else {
			l.setCard(card, time.Now())
		}
	})
	return nil
}

// Resync is what cache.ReflectorStore asks for; there is nothing to do.
func (s *shelf) Resync() error { return nil }

func asItem(obj any) (*item, error) {
	it, ok := obj.(*item)
	if !ok {
		return nil, fmt.Errorf("%T is not an object of a feed", obj)
	}
	return it, nil
}
