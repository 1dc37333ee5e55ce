// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/sandbox/lifecycle"
)

func newStatus(o *options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the sandboxes of this machine, or the one that --name names",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show, ok := formats()[output]
			if !ok {
				return usageError{fmt.Errorf("output %q: want table, json or yaml", output)}
			}
			all, err := o.statuses(cmd)
			if err != nil {
				return err
			}
			return show(cmd.OutOrStdout(), statusList{Sandboxes: all})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table, json or yaml")
	return cmd
}

// statusList is the document that status prints.
type statusList struct {
	Sandboxes []lifecycle.Status `json:"sandboxes"`
}

func (o *options) statuses(cmd *cobra.Command) ([]lifecycle.Status, error) {
	m, err := o.manager(cmd)
	if err != nil {
		return nil, err
	}
	names := []string{o.name}
	if !cmd.Flags().Changed("name") {
		if names, err = m.All(); err != nil {
			return nil, err
		}
	}
	all := []lifecycle.Status{}
	for _, n := range names {
		s, err := m.Sandbox(n)
		if errors.Is(err, lifecycle.ErrNoSandbox) && !cmd.Flags().Changed("name") {
			all = append(all, lifecycle.Status{Name: n}) // in ruins: up heals it, down removes it
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s.Status(cmd.Context()))
	}
	return all, nil
}

func formats() map[string]func(io.Writer, statusList) error {
	return map[string]func(io.Writer, statusList) error{
		"table": printTable,
		"json": func(w io.Writer, l statusList) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(l)
		},
		"yaml": func(w io.Writer, l statusList) error {
			data, err := yaml.Marshal(l)
			if err != nil {
				return err
			}
			_, err = w.Write(data)
			return err
		},
	}
}

func printTable(out io.Writer, l statusList) error {
	if len(l.Sandboxes) == 0 {
		_, err := fmt.Fprintln(out, "no sandbox; make one with mcwan-sandbox up")
		return err
	}
	table := [][]string{{"SANDBOX", "CLUSTER", "NODE", "PODS", "ISTIO", "MC-WAN", "MEMORY", "API"}}
	for _, s := range l.Sandboxes {
		for _, c := range s.Clusters {
			pods := fmt.Sprintf("%d/%d", c.PodsReady, c.Pods)
			table = append(table, []string{s.Name, c.Name, nodeState(c), pods, c.Istio, c.Addon, mib(c.MemoryBytes), c.API})
		}
		if len(s.Clusters) == 0 {
			continue // in ruins, see below
		}
		table = append(table, []string{s.Name, "sd-wan", wanState(s.WAN), "", "", "", mib(s.WAN.MemoryBytes), ""})
	}
	if err := printColumns(out, table); err != nil {
		return err
	}
	return printProblems(out, l)
}

// printColumns aligns a table's columns.
func printColumns(out io.Writer, table [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range table {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

func printProblems(out io.Writer, l statusList) error {
	var errs []error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(out, format, args...)
		errs = append(errs, err)
	}
	for _, s := range l.Sandboxes {
		if len(s.Clusters) == 0 {
			say("\n%s: what is left of a sandbox; mcwan-sandbox down --name %s removes it\n", s.Name, s.Name)
			continue
		}
		for _, c := range s.Clusters {
			if c.Problem != "" {
				say("\n%s %s: %s\n", s.Name, c.Name, c.Problem)
			}
		}
		for _, p := range append(s.WAN.Problems, s.WAN.Problem) {
			if p != "" {
				say("\n%s sd-wan: %s\n", s.Name, p)
			}
		}
	}
	return errors.Join(errs...)
}

func nodeState(c lifecycle.ClusterStatus) string {
	switch {
	case !c.Running:
		return "down"
	case c.NodeReady:
		return "ready"
	}
	return "not ready"
}

func wanState(w lifecycle.WANStatus) string {
	if !w.Running {
		return "down"
	}
	return fmt.Sprintf("%d/%d joined", w.Attached, w.Sites)
}

func mib(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
