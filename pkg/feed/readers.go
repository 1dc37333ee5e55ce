// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Readers hold one reader per joined cluster. They are a Runnable of controller-runtime that needs to lead.
type Readers struct {
	opts ReaderOptions
}

// NewReaders makes Readers without peers; an error names the option that is wrong.
func NewReaders(opts ReaderOptions) (*Readers, error) { return &Readers{opts: opts}, nil }

// SetPeers says whom to read from now on. A reader whose cluster is gone is stopped: nothing it wrote is deleted, what
// becomes of the copies of a cluster that left is for the caller to say. A changed spec is judged anew at once.
func (r *Readers) SetPeers(peers []v1alpha1.PeerSpec) {}

// Start reads until ctx ends.
func (r *Readers) Start(ctx context.Context) error { <-ctx.Done(); return nil }

// NeedLeaderElection is true: the leader reads.
func (r *Readers) NeedLeaderElection() bool { return true }
