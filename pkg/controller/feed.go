// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// newFeed makes the serving and the reading side of the feed.
func newFeed(c *core, s *store, cfg *rest.Config) (*feed.Server, *feed.Readers, *feed.Announcer, error) {
	log := c.opts.Log.WithName("feed")
	server, err := feed.NewServer(feed.ServerOptions{
		ClusterID: c.self.ID, API: cfg, BindAddress: c.opts.FeedBindAddress,
		Peers: s.lookup, Cards: s, OwnAddress: c.self.OwnAddress, Log: log,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	readers, err := feed.NewReaders(feed.ReaderOptions{
		BaseURL: c.opts.FeedBaseURL, Transport: c.opts.FeedTransport, Timing: c.opts.FeedTiming, Limits: c.opts.FeedLimits,
		Sink: s, NameOf: translate.AdvertisementName, OwnAddress: c.self.OwnAddress, Log: log,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	announcer, err := feed.NewAnnouncer(feed.AnnouncerOptions{BaseURL: c.opts.FeedBaseURL, Transport: c.opts.FeedTransport, Log: log})
	if err != nil {
		return nil, nil, nil, err
	}
	return server, readers, announcer, nil
}

// serveFeed serves the own feed, in every replica.
func (c *core) serveFeed(ctx context.Context, server *feed.Server) error {
	if c.opts.FeedListener == nil {
		return server.Start(ctx)
	}
	return server.Serve(ctx, c.opts.FeedListener)
}

// recheckCallers ends the watches of peers that are no longer joined: a request is checked when it comes, but a watch
// lasts.
func recheckCallers(ctx context.Context, cc cache.Cache, server *feed.Server) error {
	informer, err := cc.GetInformer(ctx, &v1alpha1.Peer{})
	if err != nil {
		return fmt.Errorf("watching Peers: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(any, any) { server.Recheck() },
		DeleteFunc: func(any) { server.Recheck() },
	})
	if err != nil {
		return fmt.Errorf("watching Peers: %w", err)
	}
	<-ctx.Done()
	return informer.RemoveEventHandler(registration)
}

// everywhere is a Runnable that every replica runs.
type everywhere func(context.Context) error

// Start runs it.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection is false.
func (f everywhere) NeedLeaderElection() bool { return false }
