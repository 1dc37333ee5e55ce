// SPDX-License-Identifier: Apache-2.0

// Package mcs is the merge of KEP-1645 (Multi-Cluster Services API) as one pure function: the exports of one service
// name, as all clusters advertise them, go in; what every cluster's ServiceImport says, and what every constituent
// ServiceExport is told, comes out. Every cluster computes the same from the same exports, so no cluster is special.
//
// The rules, one function each. Lines are those of
// keps/sig-multicluster/1645-multi-cluster-services-api/README.md in kubernetes/enhancements at 64765b4b.
//
//	rule                    function            KEP          what it says
//	precedence              byPrecedence        L1048-1052   oldest ServiceExport first; equal times: lower cluster id
//	type, headlessness      mergeType           L1074-1078   oldest wins; TypeConflict
//	ports                   mergePorts          L1056-1072   union by name, then by (protocol, port); PortConflict on any difference
//	clusters of a port      exposes             L1058-1063   only those that expose the very port get its traffic
//	session affinity        mergeAffinity       L1080-1084   oldest wins; SessionAffinityConflict
//	session affinity config mergeAffinityConfig L1080-1084   oldest wins; SessionAffinityConfigConflict
//	internal traffic policy mergeInternal       L1086-1090   oldest wins; InternalTrafficPolicyConflict
//	traffic distribution    mergeDistribution   L1092-1096   oldest wins; TrafficDistributionConflict
//	labels, annotations     mergeLabels,        L1098-1103   the oldest's whole map, no merge of maps;
//	                        mergeAnnotations    L482-486     LabelsConflict, AnnotationsConflict
//	IP families             mergeFamilies       L488-496     IPFamilyConflict only where traffic could depend on the family
//	conflicts               ExportConditions    L1048-1052   on all constituent exports, all reasons joined by commas
//	exporting clusters      mergeClusters       L531-535     status.clusters, ordered by id
//	L7 rules                mergeRules          none         own rule: those of the oldest export that has some; told by its own condition
//	idempotent methods      mergeIdempotent     none         own rule: those that all exports name; cannot conflict
//	WAN policy              mergePolicy         none         own rule: oldest wins; told by WANPolicyResolved, not by Conflict
//
// An export that Validate refuses is treated as absent. A draining export counts like any other until its exporter takes
// it away: its leaving must change the merged service once, not twice, and L1054 asks that traffic does not move before.
package mcs
