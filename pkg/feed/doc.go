// SPDX-License-Identifier: Apache-2.0

// Package feed serves what this cluster publishes to its peers, and reads, checks and writes down what they publish.
//
// # Wiring
//
//	server, err := feed.NewServer(feed.ServerOptions{
//		ClusterID: id, API: mgr.GetConfig(), BindAddress: ":9444",
//		Peers:     lookup,  // by Peer.spec.identities.egress, from the cache, accepted Peers only
//		Cards:     store, OwnAddress: isClusterIP, Log: log,
//	})
//	readers, err := feed.NewReaders(feed.ReaderOptions{Sink: store, NameOf: translate.AdvertisementName, OwnAddress: isClusterIP, Log: log})
//	announcer, err := feed.NewAnnouncer(feed.AnnouncerOptions{Log: log})
//	mgr.Add(server)    // every replica serves
//	mgr.Add(readers)   // the leader reads
//	mgr.Add(announcer) // the leader announces
//
//	// In the reconciler of Peers, whenever the set of accepted Peers or one of their specs changes:
//	readers.SetPeers(specs)
//	announcer.SetPeers(clusterIDs)
//	// When the own card changed (after it was written to the API server):
//	announcer.Announce(card)
package feed
