// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// attachRetry is how often a device that cannot be attached is tried again, and how often an attached one is checked to be
// still the one that the configuration leads to.
const attachRetry = 250 * time.Millisecond

var errReplaced = errors.New("its network namespace was replaced or is gone")

// site is a Site at run time: a writer that lives as long as it does, and a reader for as long as its device is attached.
type site struct {
	open  opener
	clock func() time.Duration
	log   *slog.Logger
	alarm alarm
	exit  *exit
	// written is closed when the writer has ended.
	written chan struct{}

	view        atomic.Pointer[view]
	attached    atomic.Pointer[attachment]
	malformed   atomic.Uint64
	writeErrors atomic.Uint64

	stop func() // set and called with the router's lock held

	mu  sync.Mutex
	cfg Site
	err error // why no device is attached
}

// configure gives s a configuration. It must be stopped.
func (s *site) configure(cfg Site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
}

// start keeps the device that the configuration leads to attached until s.stop is called. It returns when it has tried once.
func (s *site) start() {
	ctx, cancel := context.WithCancel(context.Background())
	tried, done := make(chan struct{}), make(chan struct{})
	s.stop = func() {
		cancel()
		<-done
	}
	cfg := s.cfg
	go func() {
		defer close(done)
		s.supervise(ctx, cfg, sync.OnceFunc(func() { close(tried) }))
	}()
	<-tried
}

func (s *site) supervise(ctx context.Context, cfg Site, tried func()) {
	again := func(ctx context.Context) {
		a, err := s.open(cfg)
		if err == nil {
			s.setAttached(a, nil)
			tried()
			err = s.serve(ctx, a)
		}
		if ctx.Err() != nil {
			err = nil
		}
		s.setAttached(nil, err)
		tried()
	}
	wait.UntilWithContext(ctx, again, attachRetry)
	tried() // ctx may have ended before the first try
}

// serve reads from a until ctx ends, the reader fails, or a is not the right device any more. It closes a.
func (s *site) serve(ctx context.Context, a *attachment) error {
	var failure error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = s.read(a)
	}()
	check := time.NewTicker(attachRetry)
	defer check.Stop()
	for {
		select {
		case <-ended:
			return errors.Join(failure, a.Close())
		case <-ctx.Done():
			return detach(a, ended)
		case <-check.C:
			if a.gone() {
				return errors.Join(errReplaced, detach(a, ended))
			}
		}
	}
}

// detach closes a and waits until its reader has noticed.
func detach(a *attachment, ended <-chan struct{}) error {
	err := a.Close()
	<-ended
	return err
}

// setAttached makes a the device that packets are written to; without one the site is down for the reason in err.
func (s *site) setAttached(a *attachment, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.attached.Swap(a)
	switch {
	case a != nil:
		s.exit.setClosed(forwarded)
		s.log.Info("site attached", "site", s.cfg.Name, "netns", s.cfg.NetnsPath, "device", s.cfg.Device)
	default:
		s.exit.setClosed(dropSiteDown)
		if err != nil && (was != nil || s.err == nil || s.err.Error() != err.Error()) {
			s.log.Warn("site is down", "site", s.cfg.Name, "error", err)
		}
	}
	s.err = err
}

// close ends s: no packet is read or written afterwards.
func (s *site) close() error {
	s.stop()
	err := s.alarm.Close()
	<-s.written
	return err
}

func (s *site) status() SiteStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := SiteStatus{Site: s.cfg, Attached: s.attached.Load() != nil, Malformed: s.malformed.Load(), WriteErrors: s.writeErrors.Load()}
	if s.err != nil {
		st.Error = s.err.Error()
	}
	return st
}
