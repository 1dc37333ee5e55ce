// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/probe"
)

// hopMetrics are the figures of all hops at the moment they are asked for. A hop that goes takes its series with it.
type hopMetrics struct {
	// reports are the hops as they are acted on, with the figures of now.
	reports                  func() []probe.Report
	state, rtt, jitter, loss *prometheus.Desc
}

// registerHops makes the figures of hops visible.
func registerHops(r prometheus.Registerer, reports func() []probe.Report) error {
	if r == nil {
		return nil
	}
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"peer", "policy", "address"}, nil)
	}
	err := r.Register(&hopMetrics{
		reports: reports,
		state:   describe("mcwan_hop_state", "Verdict on the hop: 0 unknown, 1 healthy, 2 degraded (not within the SLA), 3 dead."),
		rtt:     describe("mcwan_hop_rtt_seconds", "Round-trip time to the peer's gateway over the policy's tunnel: median of the last answers."),
		jitter:  describe("mcwan_hop_jitter_seconds", "Mean deviation of one round-trip time from the one before."),
		loss:    describe("mcwan_hop_loss_ratio", "Share of handshakes of the last 30 seconds that lost a packet."),
	})
	if err != nil {
		return fmt.Errorf("registering metrics of hops: %w", err)
	}
	return nil
}

// Describe implements prometheus.Collector.
func (m *hopMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.state, m.rtt, m.jitter, m.loss} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *hopMetrics) Collect(out chan<- prometheus.Metric) {
	number := map[v1alpha1.HopState]float64{v1alpha1.HopHealthy: 1, v1alpha1.HopDegraded: 2, v1alpha1.HopDead: 3}
	for _, r := range m.reports() {
		gauge := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, r.Cluster, r.Policy, r.Address)
		}
		gauge(m.state, number[r.State])
		if r.Measured {
			gauge(m.rtt, r.RTT.Seconds())
			gauge(m.jitter, r.Jitter.Seconds())
			gauge(m.loss, r.Loss)
		}
	}
}
