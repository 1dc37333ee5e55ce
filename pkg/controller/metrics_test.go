// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/l7mp/mc-wan/pkg/probe"
)

// described collects the names of all metrics that are registered with it.
type described struct {
	prometheus.Registerer
	names []string
}

func (d *described) Register(c prometheus.Collector) error {
	out := make(chan *prometheus.Desc, 10)
	c.Describe(out)
	close(out)
	for desc := range out {
		d.names = append(d.names, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(desc.String())[1])
	}
	return nil
}

// TestMetricsAreDocumented: docs/metrics.md has a row for each metric and for no other.
func TestMetricsAreDocumented(t *testing.T) {
	registered := &described{}
	if err := newMetrics().register(registered, &core{}); err != nil {
		t.Fatal(err)
	}
	if err := registerHops(registered, probe.New(nil, nil).Reports); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(mcwan_[a-z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, row[1])
	}
	slices.Sort(rows)
	slices.Sort(registered.names)
	if !slices.Equal(rows, registered.names) {
		t.Errorf("docs/metrics.md has %q, registered are %q", rows, registered.names)
	}
}
