// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// printService shows a service to a person.
func printService(w io.Writer, s ServiceStatus) error {
	var out bytes.Buffer
	state := "Ready"
	if !s.Ready {
		state = "Not ready: " + s.Why
	}
	fields := [][2]string{
		{"Service", s.Name + "/" + s.Namespace + " in " + s.Cluster},
		{"State", state},
		{"Name", s.Host},
		{"Address", strings.Join(s.IPs, ", ")},
		{"Type", s.Type},
		{"WAN policy", policyLine(s.Policy)},
		{"Exported", yesNo(s.Exported)},
		{"Imported", yesNo(s.Imported)},
	}
	if len(s.Idempotent) > 0 {
		fields = append(fields, [2]string{"Idempotent", strings.Join(s.Idempotent, ", ")})
	}
	for _, field := range fields {
		fmt.Fprintf(&out, "%-13s%s\n", field[0]+":", orDash(field[1]))
	}
	sections := []struct {
		title  string
		header []string
		rows   [][]string
	}{
		{"Ports", []string{"NAME", "PORT", "PROTOCOL", "APP PROTOCOL"}, portRows(s.Ports)},
		{"Exporters", []string{"CLUSTER", "READY BACKENDS", "POLICY", "SINCE", "STATE"}, exporterRows(s.Exporters)},
		{"Endpoints", []string{"CLUSTER", "NAME"}, endpointRows(s.Exporters)},
		{"Hops", []string{"CLUSTER", "POLICY", "TUNNEL", "ADDRESS", "PORT", "STATE"}, hopRows(s.Hops)},
		{"Conditions", []string{"OF", "TYPE", "STATUS", "REASON", "MESSAGE"}, append(conditionRows("export", s.ExportConditions), conditionRows("import", s.ImportConditions)...)},
	}
	for _, section := range sections {
		if len(section.rows) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n%s:\n", section.title)
		if err := table(&out, section.header, section.rows); err != nil {
			return err
		}
	}
	_, err := out.WriteTo(w)
	return err
}

func policyLine(p *PolicyInUse) string {
	switch {
	case p == nil:
		return ""
	case p.Missing:
		return p.Name + " (not known in this cluster)"
	}
	what := fmt.Sprintf("tunnel %s, port %d", p.Tunnel, p.Port)
	if p.Default {
		what = "the default; " + what
	}
	if p.Failover != "" {
		what += ", failover " + p.Failover
	}
	return fmt.Sprintf("%s (%s)", p.Name, what)
}

func portRows(ports []PortStatus) [][]string {
	var rows [][]string
	for _, p := range ports {
		rows = append(rows, []string{p.Name, fmt.Sprint(p.Port), string(p.Protocol), p.AppProtocol})
	}
	return rows
}

func exporterRows(exporters []ExporterStatus) [][]string {
	var rows [][]string
	for _, e := range exporters {
		cluster, state := e.Cluster, "serving"
		if e.Own {
			cluster += " (this one)"
		}
		if e.ByHand {
			cluster += " (by hand)"
		}
		if e.Draining {
			state = "draining"
		}
		rows = append(rows, []string{cluster, readyCell(e.Ready), e.Policy, e.Since.UTC().Format(time.RFC3339), state})
	}
	return rows
}

func endpointRows(exporters []ExporterStatus) [][]string {
	var rows [][]string
	for _, e := range exporters {
		for _, name := range e.Endpoints {
			rows = append(rows, []string{e.Cluster, name})
		}
	}
	return rows
}

// readyCell shows one number where all ports agree, else one a port.
func readyCell(ready map[string]int32) string {
	ports := slices.Sorted(maps.Keys(ready))
	same := true
	for _, port := range ports {
		same = same && ready[port] == ready[ports[0]]
	}
	if len(ports) > 0 && same {
		return fmt.Sprint(ready[ports[0]])
	}
	cells := make([]string, 0, len(ports))
	for _, port := range ports {
		cells = append(cells, fmt.Sprintf("%s=%d", port, ready[port]))
	}
	return strings.Join(cells, " ")
}

func hopRows(hops []HopStatus) [][]string {
	var rows [][]string
	for _, h := range hops {
		rows = append(rows, []string{h.Cluster, h.Policy, h.Tunnel, h.Address, fmt.Sprint(h.Port), string(h.State)})
	}
	return rows
}

func conditionRows(of string, conditions []metav1.Condition) [][]string {
	var rows [][]string
	for _, c := range conditions {
		rows = append(rows, []string{of, c.Type, string(c.Status), c.Reason, c.Message})
	}
	return rows
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
