// SPDX-License-Identifier: Apache-2.0

// Package feed serves what this cluster publishes to its peers, and reads, checks and writes down what they publish.
//
// # Wiring
//
//	server, err := feed.NewServer(feed.ServerOptions{
//		ClusterID: id, API: mgr.GetConfig(), BindAddress: ":9444",
//		Peers: lookup, // by Peer.spec.identities.egress, from the cache, accepted Peers only
//		Cards: store, OwnAddress: isClusterIP, Log: log,
//	})
//	readers, err := feed.NewReaders(feed.ReaderOptions{Sink: store, OwnAddress: isClusterIP, Log: log})
//	announcer, err := feed.NewAnnouncer(feed.AnnouncerOptions{Log: log})
//	mgr.Add(server)    // every replica serves
//	mgr.Add(readers)   // the leader reads
//	mgr.Add(announcer) // the leader announces
//
//	// In the reconciler of Peers, whenever the set of accepted Peers or one of their specs has changed:
//	readers.SetPeers(specs) // when it returns, nothing is written any more for a cluster that left: prune its copies now
//	announcer.SetPeers(clusterIDs)
//	server.Recheck() // in every replica: who is no longer joined is no longer told
//	// When the own card has changed and been written:
//	announcer.Announce(card.Spec)
//	// Optional, when somebody else may have changed copies of a peer:
//	readers.Recheck(clusterID)
//
// The store (Sink, and as part of it CardStore) is a few lines over a cache and the apply function. It gets whole
// objects; before it changes or deletes one it asks Mine. Report hands over what the conditions FeedReady and
// AdvertisementsAccepted and the counts in a Peer's status are made of.
//
// # What is served
//
// Server is an allow-list, not a filter: every request to the own API server is made from nothing, with the own
// credentials, the own namespace and the own cluster as label selector; of the caller's request only the values of
// known query parameters go on. Of each object its name, versions and spec leave the cluster.
//
// # What is believed
//
// Unreadable is not empty: nothing is deleted because a peer cannot be reached, turns this cluster away, presents
// another identity, or says what cannot be read. Each advertisement and the card are judged one by one (CheckAdvertisement,
// CheckCard); a refused one leaves the last good copy in use. What a peer lists counts as all it has only while the
// card counts as many (type ledger says how long they may differ). An advertisement that is gone goes at once when it
// was draining, else after Timing.VanishGrace during which the feed could be read. A namespace that the Peer no
// longer allows is cleared at once.
//
// # Skew
//
// Fields that this version does not know are dropped. An advertisement whose minReader is higher than
// v1alpha1.ReaderVersion is refused as TooNew, and so leaves the last good one in use.
//
// # Reading
//
// A reader is client-go's reflector over an own ListerWatcher (type source): lists come in pages and are always
// consistent ones, watches end when they are silent. Below the client a guard bounds bytes per answer, event and minute
// and requests per second, follows no redirect, takes nothing but JSON, and makes a problem (a reason and what to do)
// of everything else. The reflector's own loop, pager and backoff are not used, for reasons given where they would be.
package feed
