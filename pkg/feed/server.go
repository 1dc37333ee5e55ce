// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Bounds on connections of the serving port. A GET of a feed has a few hundred bytes of headers.
const (
	maxHeaderBytes    = 32 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 5 * time.Second
)

// Server serves the own cluster's advertisements and its card, and takes announcements of peers' cards. It is an
// http.Handler, and a Runnable of controller-runtime that does not need to lead.
//
// Served are GET of the two kinds in namespace mc-wan, with the own cluster as forced label selector and with
// allow-listed query parameters; POST /announce; GET /healthz. Nothing of the caller's headers reaches the API server.
// The caller is whom the header x-mcw-peer names, which the own ingress gateway sets from the caller's certificate.
type Server struct {
	opts ServerOptions
	api  rest.Interface
	gate *gate
}

// NewServer makes a Server; an error names the option that is wrong.
func NewServer(opts ServerOptions) (*Server, error) {
	if opts.ClusterID == "" || opts.API == nil || opts.Peers == nil || opts.Cards == nil {
		return nil, errors.New("feed.ServerOptions: ClusterID, API, Peers and Cards are required")
	}
	opts.Limits = opts.Limits.complete()
	api, err := apiClient(opts.API)
	if err != nil {
		return nil, err
	}
	return &Server{opts: opts, api: api, gate: newGate(opts.Limits)}, nil
}

func (l ServerLimits) complete() ServerLimits {
	d := DefaultServerLimits()
	return ServerLimits{
		WatchesPerPeer:    cmp.Or(l.WatchesPerPeer, d.WatchesPerPeer),
		Watches:           cmp.Or(l.Watches, d.Watches),
		Requests:          cmp.Or(l.Requests, d.Requests),
		RequestsPerSecond: cmp.Or(l.RequestsPerSecond, d.RequestsPerSecond),
		Burst:             cmp.Or(l.Burst, d.Burst),
		MaxAnnounceBytes:  cmp.Or(l.MaxAnnounceBytes, d.MaxAnnounceBytes),
		MaxPage:           cmp.Or(l.MaxPage, d.MaxPage),
		MaxWatch:          cmp.Or(l.MaxWatch, d.MaxWatch),
		WriteTimeout:      cmp.Or(l.WriteTimeout, d.WriteTimeout),
	}
}

// apiClient makes a client that talks JSON, without a rate limit: callers are limited one by one.
func apiClient(config *rest.Config) (rest.Interface, error) {
	gv := v1alpha1.GroupVersion()
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion = "/apis", &gv
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	c.QPS, c.RateLimiter, c.Timeout = -1, nil, 0
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("feed.ServerOptions.API: %w", err)
	}
	return client, nil
}

// NeedLeaderElection is false: every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Start listens on the bind address and serves until ctx ends.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.opts.BindAddress)
	if err != nil {
		return fmt.Errorf("feed: listen on --feed-bind-address: %w", err)
	}
	return s.Serve(ctx, listener)
}

// Serve serves on the listener until ctx ends, then closes it. Watches end with ctx, cleanly: their callers go on with
// another replica.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("feed: serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("feed: serve: %w", err)
	}
	return nil
}

// Recheck ends the watches of callers that are no longer joined, or under another identity: to be called when Peers have
// changed. A request is checked when it comes, but a watch lasts.
func (s *Server) Recheck() {
	s.gate.dismiss(func(clusterID, identity string) bool {
		peer, ok := s.opts.Peers(identity)
		return ok && peer.ClusterID == clusterID
	})
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A write deadline stays with the connection: set for each answer anew, and for what is flushed at its end.
	s.writeBefore(w)
	defer s.writeBefore(w)
	if f := s.route(w, r); f != nil {
		f.write(w)
	}
}
