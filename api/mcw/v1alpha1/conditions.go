// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types on WANPolicy and Peer.
const (
	// ConditionReady sums up the others.
	ConditionReady = "Ready"
	// ConditionAccepted on a Peer, and on a ServiceAdvertisement that was written by hand: the spec can be acted on.
	ConditionAccepted = "Accepted"
	// ConditionFeedReady on a Peer: its feed has been read and is being watched. False or Unknown never deletes anything.
	ConditionFeedReady = "FeedReady"
	// ConditionAdvertisementsAccepted on a Peer is False while some of its advertisements are refused.
	ConditionAdvertisementsAccepted = "AdvertisementsAccepted"
	// ConditionHopsHealthy on a Peer is False while a hop is dead or degraded, Unknown while none has been measured or
	// the measurements cannot be true.
	ConditionHopsHealthy = "HopsHealthy"
	// ConditionReachable on a Peer is False when neither its feed nor any hop has answered for so long, or when it turns this
	// cluster away, that its exports are treated as draining.
	ConditionReachable = "Reachable"
)

// Reasons of Reachable, besides ReasonRefused.
const (
	ReasonReachable = "Reachable"
	ReasonWithdrawn = "Withdrawn"
)

// Own condition types on MCS kinds, for what KEP-1645 has no word for.
const (
	// ConditionPortsCarried is False while a port of the service cannot cross the gateways (UDP, SCTP).
	ConditionPortsCarried = "mcw.l7mp.io/PortsCarried"
	// ConditionEndpointsCarried on a ServiceExport of a headless Service is False while some of its ready endpoints cannot
	// be reached from other clusters.
	ConditionEndpointsCarried = "mcw.l7mp.io/EndpointsCarried"
	// ConditionWANPolicy on a ServiceExport says whether the named WAN policy exists and can be used, and whether the
	// exporters agree on it.
	ConditionWANPolicy = "mcw.l7mp.io/WANPolicyResolved"
	// ConditionDummyServices on a ServiceImport is False while one of its dummy Services cannot be had. It is not there
	// where dummy Services are switched off.
	ConditionDummyServices = "mcw.l7mp.io/DummyServices"
	// ConditionRules on a ServiceImport says whose rules of mc-wan.l7mp.io its requests follow here; False while one of
	// them answers with an error. It is not there where there are none.
	ConditionRules = "mcw.l7mp.io/Rules"
)

// Reasons on WANPolicy.
const (
	ReasonReady           = "Ready"
	ReasonPortConflict    = "PortConflict"
	ReasonPortReserved    = "PortReserved"
	ReasonDefaultConflict = "DefaultConflict"
	ReasonUnknownFailover = "UnknownFailover"
	ReasonDiffersAtPeer   = "DiffersAtPeer"
	ReasonInvalid         = "Invalid"
)

// Reasons on Peer.
const (
	ReasonAccepted         = "Accepted"
	ReasonOwnCluster       = "OwnCluster"
	ReasonDuplicateID      = "DuplicateClusterID"
	ReasonInvalidAddress   = "InvalidAddress"
	ReasonInvalidIdentity  = "InvalidIdentity"
	ReasonSynced           = "Synced"
	ReasonPending          = "Pending"
	ReasonUnreachable      = "Unreachable"
	ReasonRefused          = "Refused"
	ReasonIdentityMismatch = "IdentityMismatch"
	ReasonUnreadable       = "Unreadable"
	ReasonUIDMismatch      = "ClusterUIDMismatch"
	ReasonGivenUp          = "GivenUp"
	ReasonAllAccepted      = "AllAccepted"
	ReasonSomeRefused      = "SomeRefused"
)

// Reasons of HopsHealthy.
const (
	ReasonAllHealthy   = "AllHealthy"
	ReasonHopsDegraded = "HopsDegraded"
	ReasonHopsDead     = "HopsDead"
	ReasonAllHopsDead  = "AllHopsDead"
	ReasonNotMeasured  = "NotMeasured"
	// ReasonProbeBroken: what the prober measures contradicts what else is known, so it moves nothing.
	ReasonProbeBroken = "ProbeBroken"
)

// Reasons of the state of one hop.
const (
	HopReasonAnswers = "Answers"
	// HopReasonReturning: it answers again and comes second until its policy's warm standby has made connections over it.
	HopReasonReturning = "Returning"
	HopReasonNoAnswer  = "NoAnswer"
	HopReasonRefused   = "Refused"
	HopReasonLatency   = "LatencyAboveSLA"
	HopReasonJitter    = "JitterAboveSLA"
	HopReasonLoss      = "LossAboveSLA"
	HopReasonCannotTry = "CannotTry"
)

// Reasons of refusals of single advertisements.
const (
	RefusedNamespace = "NamespaceNotAllowed"
	RefusedName      = "InvalidName"
	RefusedCluster   = "ForeignClusterID"
	RefusedPort      = "InvalidPort"
	RefusedVersion   = "TooNew"
	RefusedBounds    = "OutOfBounds"
	RefusedAddress   = "InvalidAddress"
	// RefusedUndecodable: a field has another type than this version knows.
	RefusedUndecodable = "Undecodable"
	// RefusedDuplicate: another advertisement of the same cluster is for the same service.
	RefusedDuplicate = "Duplicate"
	// RefusedConflict: the name of the copy is taken by an object that is not the feed's.
	RefusedConflict = "NameTaken"
)

// Reasons of notices about a feed that is readable.
const (
	// NoticeVanished: advertisements are gone without having been draining; they are kept for a while.
	NoticeVanished = "VanishedWithoutDraining"
	// NoticeStaleCard: the card's generation is lower than the one known.
	NoticeStaleCard = "StaleCard"
	// NoticeUIDChanged: the card has another cluster uid than before, and the Peer pins none.
	NoticeUIDChanged = "ClusterUIDChanged"
)

// Reasons of the own conditions on MCS kinds.
const (
	ReasonCarried             = "Carried"
	ReasonUnsupportedProtocol = "UnsupportedProtocol"
	ReasonNoPorts             = "NoPorts"
	ReasonResolved            = "Resolved"
	ReasonUnknownPolicy       = "UnknownPolicy"
	ReasonNoDefaultPolicy     = "NoDefaultPolicy"
	ReasonPolicyNotReady      = "PolicyNotReady"
	ReasonPolicyConflict      = "PolicyConflict"
	ReasonInvalidFailover     = "InvalidFailover"
	ReasonOutOfPorts          = "OutOfPorts"
	// ReasonTooManyPorts is Valid=False of an export whose Service has more ports than an advertisement has room for.
	ReasonTooManyPorts = "TooManyPorts"
	// ReasonTooManyEndpoints is EndpointsCarried=False: the headless Service has more ready endpoints than MaxEndpoints.
	ReasonTooManyEndpoints = "TooManyEndpoints"
	// ReasonConsumersRules and ReasonOwnersRules are Rules=True: those of this cluster's ServiceImport.mc-wan.l7mp.io, or of
	// the owner's ServiceExport.mc-wan.l7mp.io.
	ReasonConsumersRules = "ConsumersRules"
	ReasonOwnersRules    = "OwnersRules"
	// ReasonDummiesReady is DummyServices=True: there is one per WAN policy that an exporter offers.
	ReasonDummiesReady = "Ready"
	// ReasonNameTaken: another Service in mc-wan has the name of a dummy Service, and had it first.
	ReasonNameTaken = "NameTaken"
	// ReasonNameTooLong: <service>-<namespace>-<policy> has more than the 63 characters of a Service's name, or the name of
	// an endpoint of a headless Service more than the 253 of a DNS name.
	ReasonNameTooLong = "NameTooLong"
)
