// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
)

// metrics are what an operator watches the controller by. Labels are few: nothing is counted per service.
type metrics struct {
	writes      *prometheus.CounterVec
	peerSynced  *prometheus.GaugeVec
	accepted    *prometheus.GaugeVec
	refused     *prometheus.GaugeVec
	meshProblem *prometheus.GaugeVec
	doubted     *prometheus.GaugeVec
	withdrawn   *prometheus.GaugeVec
	moves       *prometheus.CounterVec
	standby     *prometheus.CounterVec
}

func newMetrics() *metrics {
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		writes:      counters("mcwan_writes_total", "Writes to the API server that changed something.", "kind", "action"),
		moves:       counters("mcwan_hop_transitions_total", "Changes of the verdict on hops of the peer over the policy, by the new state and why.", "peer", "policy", "state", "reason"),
		standby:     counters("mcwan_standby_calls_total", "Calls that keep connections open over the tunnels that come next, by result: answered or failed.", "result"),
		peerSynced:  gauges("mcwan_peer_synced", "1 while the peer's feed is read and watched.", "peer"),
		accepted:    gauges("mcwan_peer_advertisements_accepted", "Advertisements of the peer that are in use.", "peer"),
		refused:     gauges("mcwan_peer_advertisements_refused", "Advertisements of the peer that were refused.", "peer"),
		doubted:     gauges("mcwan_peer_probe_doubted", "1 while the prober's verdicts on the peer cannot be true and are not acted on.", "peer"),
		withdrawn:   gauges("mcwan_peer_withdrawn", "1 while neither the feed nor any hop of the peer answers, or it turns this cluster away, and its exports are used only where no other cluster serves.", "peer"),
		meshProblem: gauges("mcwan_mesh_problem", "1 while istiod, or a ClusterProperty, is set up in a way that does not work with mc-wan.", "reason"),
	}
}

// register makes the metrics visible, with those that are counted when they are asked for.
func (m *metrics) register(r prometheus.Registerer, c *core) error {
	if r == nil {
		return nil
	}
	counted := func(name, help string, count func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(count()) })
	}
	var errs []error
	for _, collector := range []prometheus.Collector{
		m.writes, m.moves, m.standby, m.peerSynced, m.accepted, m.refused, m.doubted, m.withdrawn, m.meshProblem,
		counted("mcwan_exports", "Services that this cluster advertises.", c.countExports),
		counted("mcwan_imports", "Services that this cluster imports.", c.countImports),
		counted("mcwan_paths", "Paths in use.", c.paths.count),
		counted("mcwan_leg_ports_free", "Ports of the egress gateway that are left for legs.", func() int { return c.ports.Table().Free() }),
	} {
		errs = append(errs, r.Register(collector))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// countExports and countImports are 0 while the cache is not there.
func (c *core) countExports() int {
	var list v1alpha1.ServiceAdvertisementList
	err := c.cache.List(context.Background(), &list, client.InNamespace(v1alpha1.Namespace), client.MatchingFields{indexSource: c.self.ID}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return 0
	}
	return len(list.Items)
}

func (c *core) countImports() int {
	var list mcsv1beta1.ServiceImportList
	if err := c.cache.List(context.Background(), &list, client.UnsafeDisableDeepCopy); err != nil {
		return 0
	}
	count := 0
	for i := range list.Items {
		if isOurs(&list.Items[i]) {
			count++
		}
	}
	return count
}

func (m *metrics) wrote(changes ...apply.Change) {
	for _, change := range changes {
		switch change.Action {
		case apply.Created, apply.Configured, apply.Deleted:
			m.writes.WithLabelValues(change.Kind, string(change.Action)).Inc()
		}
	}
}

func (m *metrics) standbyCall(err error) {
	result := "answered"
	if err != nil {
		result = "failed"
	}
	m.standby.WithLabelValues(result).Inc()
}

// forgetPeer drops the series of a cluster that left.
func (m *metrics) forgetPeer(id string) {
	for _, vec := range []*prometheus.GaugeVec{m.peerSynced, m.accepted, m.refused, m.doubted, m.withdrawn} {
		vec.DeleteLabelValues(id)
	}
	m.moves.DeletePartialMatch(prometheus.Labels{"peer": id})
}
