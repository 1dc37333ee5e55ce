// SPDX-License-Identifier: Apache-2.0

// Package probe measures the ways to other clusters and judges them by the service level of their WAN policies.
//
// A hop is measured by TCP handshakes with the peer's gateway on the policy's port: the way that the traffic goes, and
// nothing that the peer has to grant. A connection is reset as soon as it stands. That shows whether packets get there and
// back, and how fast; not whether the gateway behind works, which Envoy's own detection sees.
//
// # Estimators
//
// Round-trip time: the median of the last 9 answers, each as the kernel measured it between SYN and SYN-ACK (TCP_INFO).
// Jitter: RFC 3550's interarrival jitter (section 6.4.1, gain 1/16) over round trips: the mean deviation of one from the
// one before, of which each counts as six times the bound at most where it is compared with it: late answers that are
// fewer than one in twelve are no breach. Loss: the share of handshakes of the last 30 seconds that lost the SYN or the
// SYN-ACK, as ping counts it: a link that loses p each way shows 2p - p². A handshake is given up after 0.98 seconds, before
// the kernel sends a second SYN after one second (RFC 6298, section 2).
//
// # Pace
//
// One handshake every 0.5 to 0.6 seconds. Every 0.1 seconds while an answer is half overdue or was refused, until there
// is an answer or a verdict. Every 0.2 seconds for 2 seconds after an answer beyond the SLA, and for 10 seconds after a loss
// while the share of losses is beyond the SLA and not yet a breach. An answer is overdue after 4 round trips, at least 0.25
// seconds, at most 0.98.
//
// # Verdicts
//
// Dead: 3 handshakes in a row are overdue, the first for at least 0.7 seconds; or 2 in a row were refused. That is within
// 1.3 seconds of the fault on a tunnel of up to 60 ms, 1.5 at 120 ms, 2.3 at 400 ms; within 0.8 if refused. Degraded:
// round-trip time or jitter have been beyond the SLA for 3 seconds, or so many handshakes were lost in the last 30
// seconds that it would happen with a probability below 0.002 if the hop kept its SLA. A step of the round-trip time is
// found within 6 seconds, jitter of twice the bound or more within 9. How long losses take to be found is a matter of
// statistics. Among 100 simulated hops with an SLA of 1 % (in the first two columns the share of packets lost each way and
// of handshakes; then how many are found within ten minutes, the median and the 90th percentile of the time that took, and
// how many handshakes a second until then):
//
//	0.25 %   0.5 %     2 %   -      -       2.1
//	0.5 %    1 %       4 %   -      -       2.5
//	1 %      2 %      71 %   6m3s   -       3.1
//	2 %      4 %     100 %   40s    2m18s   3.7
//	5 %      9.8 %   100 %   15s    27s     3.9
//	10 %     19 %    100 %   7s     14s     4.2
//	30 %     51 %    100 %   3s     4s      5.9
//
// A dead hop returns after it has answered everything for deadHold, a degraded one after degradedHold at no more than 80 %
// of each bound. Each fall makes the next return take longer, and is forgotten after the hop has stood for a while (the
// constants in damper.go). A degraded hop besides returns at most once in five minutes, however its link oscillates around
// the SLA. A hop that died degraded comes back degraded. Falls are not remembered over a restart. A degraded hop returns only
// when it has been measured for 30 seconds if loss or jitter have a bound, also after it was dead or a restart.
package probe
