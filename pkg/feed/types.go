// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/netip"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// CardStore is where the copies of peers' cards are kept. Server and Reader write through it.
type CardStore interface {
	// Card returns the copy of the cluster's card, nil when there is none.
	Card(ctx context.Context, clusterID string) (*v1alpha1.ClusterAdvertisement, error)
	// ApplyCard writes a copy. The object is complete: name, namespace and labels are set.
	ApplyCard(ctx context.Context, card *v1alpha1.ClusterAdvertisement) error
}

// Sink is where a Reader writes what it accepted of one peer. It is called from one goroutine per peer; calls for
// different peers overlap. An error of kind Invalid (apierrors.IsInvalid) or ErrNotOurs refuses the one object, any
// other is retried with backoff.
type Sink interface {
	CardStore
	// Copies returns the copies of the cluster's advertisements as they are stored: what carries the label
	// mcw.l7mp.io/source-cluster of the cluster and not mcw.l7mp.io/manual. It is called once, before the first read, so
	// the store's cache must be synced.
	Copies(ctx context.Context, clusterID string) ([]v1alpha1.ServiceAdvertisement, error)
	// ApplyAdvertisement writes a copy. The object is complete: name, namespace and labels are set. An object of that
	// name that is not a copy of the same cluster's must be left alone; return ErrNotOurs then (see Mine).
	ApplyAdvertisement(ctx context.Context, adv *v1alpha1.ServiceAdvertisement) error
	// DeleteAdvertisement removes a copy; one that is not there, or not ours (see Mine), is no error.
	DeleteAdvertisement(ctx context.Context, clusterID, name string) error
	// Report says how the peer's feed is. It is called when the report changed, and must not block.
	Report(report PeerReport)
}

// PeerReport is the state of a peer's feed: what the conditions FeedReady and AdvertisementsAccepted, and the counts
// in the Peer's status, are made of. It carries no time and nothing random: equal states are equal reports.
type PeerReport struct {
	ClusterID string
	// Reason is Synced, Pending, Unreachable, Refused, IdentityMismatch, Unreadable or ClusterUIDMismatch.
	Reason string
	// Message says what is wrong and what to do. It is stable while the reason is.
	Message string
	// TurnedAway says that Reason is Refused because the peer's controller said so itself: it has left this cluster. Who else
	// refuses, such as a gateway on the way, may be mistaken.
	TurnedAway bool
	// SyncedOnce is true from the first time that all the peer publishes was read and written down.
	SyncedOnce bool
	// Counts are the advertisements accepted (copies in use) and refused, with the first 20 refusals.
	Counts v1alpha1.AdvertisementCounts
	// Card is the card in use, nil while none is known.
	Card *v1alpha1.ClusterAdvertisementSpec
	// Notices are things an operator should know that do not make the feed unreadable, by reason.
	Notices []Notice
}

// Notice is one thing an operator should know: VanishedWithoutDraining, StaleCard, ClusterUIDChanged.
type Notice struct {
	Reason  string
	Message string
}

// PeerLookup finds the joined cluster whose egress gateway has the SPIFFE id; false when there is none. It is called
// for every request and must be safe for concurrent use.
type PeerLookup func(egressIdentity string) (v1alpha1.PeerSpec, bool)

// AddressPredicate says whether an address must not be taken from a peer because it is one of the own cluster, such
// as a ClusterIP. It must be safe for concurrent use; nil forbids none.
type AddressPredicate func(netip.Addr) bool

// NameFunc names the copy of an advertisement: a function of source cluster, namespace and name of the service.
type NameFunc func(source, namespace, name string) string
