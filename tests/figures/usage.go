// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// What the kubelet tells of containers (Kubernetes documentation, "Node metrics data").
const (
	metricMemory = "container_memory_working_set_bytes"
	metricCPU    = "container_cpu_usage_seconds_total"
)

// idleTime is over how long idle CPU is measured.
const idleTime = time.Minute

// sample is what the kubelet said of a container.
type sample struct {
	bytes float64
	cpu   float64 // seconds since the container started
	cpuAt int64   // milliseconds, when cpu was read
}

// usage writes what the containers of mc-wan use in a cluster that nobody asks for anything.
func usage(ctx context.Context, c *story.Cluster, out io.Writer) error {
	before, err := samples(ctx, c)
	if err != nil {
		return err
	}
	var after map[string]sample
	err = wait.PollUntilContextTimeout(ctx, time.Second, 3*idleTime, true, func(ctx context.Context) (bool, error) {
		after, err = samples(ctx, c)
		return err == nil && !slices.ContainsFunc(slices.Collect(maps.Keys(before)), func(k string) bool {
			return after[k].cpuAt-before[k].cpuAt < idleTime.Milliseconds()
		}), err
	})
	if err != nil {
		return fmt.Errorf("CPU of idle containers: %w", err)
	}
	fmt.Fprintf(out, "\n| container in %s | working set | CPU, idle |\n|---|---|---|\n", c.Name)
	for _, k := range slices.Sorted(maps.Keys(before)) {
		a, b := after[k], before[k]
		share := (a.cpu - b.cpu) / (float64(a.cpuAt-b.cpuAt) / 1000)
		fmt.Fprintf(out, "| %s | %.0f MiB | %.1f %% of a core |\n", k, a.bytes/(1<<20), 100*share)
	}
	return nil
}

// samples reads the kubelets' figures of the containers in mc-wan, by pod and container.
func samples(ctx context.Context, c *story.Cluster) (map[string]sample, error) {
	nodes := &corev1.NodeList{}
	if err := c.List(ctx, nodes); err != nil {
		return nil, err
	}
	out := map[string]sample{}
	for _, n := range nodes.Items {
		text, err := c.Raw(ctx, "/api/v1/nodes/"+n.Name+"/proxy/metrics/resource")
		if err != nil {
			return nil, err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("metrics of node %s: %w", n.Name, err)
		}
		for _, m := range families[metricMemory].GetMetric() {
			collect(out, m, func(s *sample) { s.bytes = m.GetGauge().GetValue() })
		}
		for _, m := range families[metricCPU].GetMetric() {
			collect(out, m, func(s *sample) { s.cpu, s.cpuAt = m.GetCounter().GetValue(), m.GetTimestampMs() })
		}
	}
	return out, nil
}

// collect adds one metric of a container in mc-wan.
func collect(to map[string]sample, m *dto.Metric, set func(*sample)) {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	if labels["namespace"] != mcw.Namespace {
		return
	}
	key := labels["pod"] + " " + labels["container"]
	s := to[key]
	set(&s)
	to[key] = s
}
