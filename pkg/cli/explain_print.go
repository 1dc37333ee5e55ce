// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/l7mp/mc-wan/pkg/explain"
)

// printAnswers writes answers for people.
func printAnswers(w io.Writer, answers []explain.Answer) error {
	for i, a := range answers {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if err := printAnswer(w, a); err != nil {
			return err
		}
	}
	return nil
}

func printAnswer(w io.Writer, a explain.Answer) error {
	at := fmt.Sprintf("%s:%d", a.Host, a.Port)
	request := fmt.Sprintf("%s http://%s%s", a.Method, at, a.Path)
	if a.TCP {
		request = "a connection to " + at
	}
	if h := headersText(a.Headers); h != "" {
		request += " (" + h + ")"
	}
	verdict := string(a.Verdict)
	if a.Status != 0 {
		verdict += fmt.Sprintf(" with %d", a.Status)
	}
	rows := [][2]string{{"Request", request}}
	for _, row := range [][2]string{{"Read as", a.ReadAs}, {"Verdict", verdict + ": " + a.Reason}, {"Rules", a.Rules}, {"Rule", a.Rule}, {"Limits", a.Limits}, {"Changes", strings.Join(a.Changes, ", ")}} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	for _, row := range rows {
		if _, err := fmt.Fprintf(w, "%-9s %s\n", row[0]+":", row[1]); err != nil {
			return err
		}
	}
	if err := printRoutes(w, a.Routes); err != nil {
		return err
	}
	if err := printCopies(w, a.Copies); err != nil {
		return err
	}
	if err := printNames(w, a); err != nil {
		return err
	}
	return printElsewhere(w, a.Elsewhere)
}

// printRoutes writes where the request may go, then each way's hops.
func printRoutes(w io.Writer, routes []explain.Route) error {
	if len(routes) == 0 {
		return nil
	}
	rows := make([][]string, 0, len(routes))
	for _, r := range routes {
		ingress := cmp.Or(r.Ingress, "allowed")
		if r.Policy == "" {
			ingress = fmt.Sprintf("lost before (%d)", r.Status)
		}
		rows = append(rows, []string{percentText(r.Percent), cmp.Or(r.Policy, r.Reason), r.Cluster, ingress, r.Path})
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	if err := table(w, []string{"SHARE", "POLICY", "EXPORTER", "AT ITS INGRESS", "PATH"}, rows); err != nil {
		return err
	}
	for _, r := range routes {
		if len(r.Hops) == 0 {
			continue
		}
		var hops [][]string
		for _, h := range r.Hops {
			hops = append(hops, []string{rankText(h), h.Policy, h.Tunnel, h.Cluster, fmt.Sprintf("%s:%d", bracketed(h.Address), h.Port), stateOf(h)})
		}
		if _, err := fmt.Fprintf(w, "\nHops of %s:\n", r.Path); err != nil {
			return err
		}
		if err := table(w, []string{"RANK", "POLICY", "TUNNEL", "CLUSTER", "GATEWAY", "STATE"}, hops); err != nil {
			return err
		}
	}
	return nil
}

// printCopies writes where copies go.
func printCopies(w io.Writer, copies []explain.Route) error {
	if len(copies) == 0 {
		return nil
	}
	rows := make([][]string, 0, len(copies))
	for _, r := range copies {
		rows = append(rows, []string{percentText(r.Percent), r.Policy, r.Cluster, r.Path})
	}
	if _, err := fmt.Fprintln(w, "\nCopies:"); err != nil {
		return err
	}
	return table(w, []string{"OF REQUESTS", "POLICY", "EXPORTER", "PATH"}, rows)
}

// printElsewhere writes what may lead a client with a sidecar away before all this.
func printElsewhere(w io.Writer, names []string) error {
	for _, name := range names {
		if _, err := fmt.Fprintf(w, "\nA client with a sidecar may be routed elsewhere first, by %s.\n", name); err != nil {
			return err
		}
	}
	return nil
}

// printNames writes the matches that did not decide, and the objects.
func printNames(w io.Writer, a explain.Answer) error {
	if len(a.Others) > 0 {
		if _, err := fmt.Fprintln(w, "\nOther matches:"); err != nil {
			return err
		}
		for _, o := range a.Others {
			if _, err := fmt.Fprintf(w, "  %s: %s\n", o.Rule, o.Why); err != nil {
				return err
			}
		}
	}
	if _, err := fmt.Fprintln(w, "\nObjects:"); err != nil {
		return err
	}
	for _, o := range a.Objects {
		if _, err := fmt.Fprintf(w, "  %s\n", o); err != nil {
			return err
		}
	}
	return nil
}
