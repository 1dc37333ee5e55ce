// SPDX-License-Identifier: Apache-2.0

// Package advertise turns a local ServiceExport into what other clusters are told about it. It is a function of values:
// no clock, no client.
//
// What becomes of an export:
//
//	Service                   Valid                      advertised
//	in a protected namespace  False/NamespaceNotAllowed  no
//	missing                   False/NoService            no
//	ExternalName              False/InvalidServiceType   no
//	more than 250 ports       False/TooManyPorts         no
//	any other                 True/Valid                 unless its WAN policy holds it back
//
//	WAN policy                WANPolicyResolved          advertised
//	named, usable             True/Resolved              yes
//	named, does not exist     False/UnknownPolicy        no: nobody said where its traffic may go when it cannot take that tunnel,
//	                                                     and it must not silently ride another one
//	named, not usable         False/PolicyNotReady       yes: the policy's own failover says where traffic goes, and so a
//	                                                     mistake in one policy takes no running service away
//	none, default exists      True/Resolved              yes, with no name: each importing cluster uses its own default
//	none, no default          False/NoDefaultPolicy      yes, for clusters that have a default
//
// Ports that the gateways cannot carry (UDP, SCTP) are advertised like the others, because they belong to the ServiceImport,
// and are told by PortsCarried=False/UnsupportedProtocol.
package advertise
