// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/l7mp/mc-wan/tests/failover/result"
)

const head = `# Failover report

What became of every request while something broke: played and written by ` + "`make failover-report`" + `, on the sandbox. What
the words mean and what is done about each failure is in [failover](failover.md).

Each case goes with all protocols of its table at once. *plain* is the same load at the same time over an egress gateway
without mc-wan: both tunnels as endpoints with the first preferred, Istio's default outlier detection (with
maxEjectionPercent 100, because the default tenth of a few endpoints is none) and default retries, no prober; it is made
anew before each case, with the hops of that moment. *h2* is GETs on one HTTP/2 connection; *put* may be repeated,
because the ServiceExport says so. *tcp* is a connection a request: banner, a line to and fro. *before*, *during* and
*after* are the tunnel and the cluster of most requests before it broke, in the last third of the time that it was
broken, and in the last third of the time after it healed. *calm* is the slowest request of the seconds before it broke:
what this machine does to requests when nothing is wrong. *moved* is how long after it broke the last request still went
the way of before, *back* how long after it healed the first did so again; *later* is the slowest request from 10 s
after it broke until it healed. Requests wait for an answer for 10 s. GET, h2, PUT, POST and gRPC share the paths'
HTTP/2 connections.

`

// page is the whole report.
func page(r result.Report) []byte {
	var out bytes.Buffer
	out.WriteString(head)
	fmt.Fprintf(&out, "Measured with %d clusters, %d pods of each gateway and %d other imports on %d cores. Round trips of the tunnels: business 40 ms, default 60 ms, the others 120 ms.\n",
		r.Clusters, r.Gateways, r.Imports, r.CPUs)
	for _, run := range r.Runs {
		overview(&out, run)
		bars(&out, run)
	}
	for _, run := range r.Runs {
		for _, p := range run.Cases {
			section(&out, run, p)
		}
	}
	return out.Bytes()
}

// name is that of a case in a run, and of its section and picture.
func name(run result.Run, p result.Played) string { return run.Name + "-" + p.Name }

func link(run result.Run, p result.Played) string {
	return fmt.Sprintf("[%s](#%s)", p.Name, name(run, p))
}

// overview is a run with a line a case.
func overview(out *bytes.Buffer, run result.Run) {
	protocols := played(run)
	fmt.Fprintf(out, "\n## %s\n\n", run.Title)
	if run.Setup != "" {
		fmt.Fprintf(out, "%s\n\n", run.Setup)
	}
	fmt.Fprintf(out, "%s, each second: %s", run.When.Format("2006-01-02 15:04 MST"), rates(run, protocols))
	if slices.ContainsFunc(run.Cases, func(p result.Played) bool { return len(p.Plain) > 0 }) {
		out.WriteString(", and as many the plain way")
	}
	fmt.Fprintf(out, "; load averages of the machine (1, 5, 15 min) %s before and %s after. Failed of sent, the slowest that did not fail, and in brackets the slowest of those sent before it broke.\n\n", run.Load[0], run.Load[1])
	out.WriteString("| case |")
	for _, p := range protocols {
		fmt.Fprintf(out, " %s |", p)
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", len(protocols)) + "\n")
	for _, p := range run.Cases {
		fmt.Fprintf(out, "| %s |", link(run, p))
		for _, protocol := range protocols {
			if c := p.Cell(protocol); c != nil {
				fmt.Fprintf(out, " %d of %d, %s (%s)", c.Failed, c.Sent, ms(c.Slowest), ms(c.Calm(&p)))
			}
			out.WriteString(" |")
		}
		out.WriteString("\n")
	}
}

// played are the protocols that the run went with.
func played(run result.Run) []result.Protocol {
	return slices.DeleteFunc(result.Protocols(), func(protocol result.Protocol) bool {
		return !slices.ContainsFunc(run.Cases, func(p result.Played) bool { return p.Cell(protocol) != nil })
	})
}

// rates are how many requests of each protocol there were in a second.
func rates(run result.Run, protocols []result.Protocol) string {
	out := make([]string, len(protocols))
	for i, p := range protocols {
		rate := run.Rate
		if p == result.GET {
			rate = run.GETRate
		}
		out[i] = fmt.Sprintf("%d %s", rate, p)
	}
	return strings.Join(out, ", ")
}

// bars are what requests that may be repeated are held to, and what they came to.
func bars(out *bytes.Buffer, run result.Run) {
	protocols := played(run)
	out.WriteString("\nWhat requests that may be repeated are held to, and all others where nothing breaks on the way")
	if run.Untimed {
		out.WriteString("; times are for the run *Under load*")
	}
	out.WriteString(":\n\n| case | bar |")
	for _, p := range protocols {
		fmt.Fprintf(out, " %s |", p)
	}
	out.WriteString("\n|---|---|" + strings.Repeat("---|", len(protocols)) + "\n")
	for _, b := range result.Bars() {
		if run.Untimed {
			b = b.Untimed()
		}
		for _, p := range run.Cases {
			if p.Name != b.Case {
				continue
			}
			fmt.Fprintf(out, "| %s | %s |", link(run, p), b)
			for _, protocol := range protocols {
				verdict := ""
				if c := p.Cell(protocol); c != nil && b.Holds(protocol) {
					verdict = cmp.Or(strings.Join(b.Breaches(&p, c), "; "), "held")
				}
				fmt.Fprintf(out, " %s |", verdict)
			}
			out.WriteString("\n")
		}
	}
}

func section(out *bytes.Buffer, run result.Run, p result.Played) {
	fmt.Fprintf(out, "\n### %s\n\n%s, from %s to %s.\n\n", name(run, p), p.Title, p.Broke.Round(time.Second), p.Healed.Round(time.Second))
	out.WriteString("| protocol | sent | failed | calm | slowest | later | moved | back | before | during | after | plain: failed | plain: slowest |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for i, c := range p.Ours {
		plain := []string{"", ""}
		if i < len(p.Plain) {
			plain = []string{fmt.Sprintf("%d of %d", p.Plain[i].Failed, p.Plain[i].Sent), ms(p.Plain[i].Slowest)}
		}
		fmt.Fprintf(out, "| %s | %d | %d | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", c.Protocol, c.Sent, c.Failed, ms(c.Calm(&p)), ms(c.Slowest),
			ms(c.Settled), seconds(c.Moved, c.Left()), seconds(c.Back, c.Back > 0), c.Before, c.During, c.After, strings.Join(plain, " | "))
	}
	for _, c := range p.Ours {
		if c.Failed > 0 {
			fmt.Fprintf(out, "\n%s failed with: %s.\n", c.Protocol, commonErrors(c.Errors))
		}
	}
	fmt.Fprintf(out, "\n![latency of each request over time](images/failover/%s.png)\n", name(run, p))
}

// commonErrors are the three most frequent ones.
func commonErrors(errors map[string]int) string {
	texts := slices.SortedFunc(maps.Keys(errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(errors[b], errors[a]), cmp.Compare(a, b))
	})
	var out []string
	for _, t := range texts[:min(3, len(texts))] {
		out = append(out, fmt.Sprintf("%d x `%.120s`", errors[t], strings.ReplaceAll(t, "`", "'")))
	}
	return strings.Join(out, "; ")
}

// seconds is empty for what did not happen.
func seconds(d time.Duration, happened bool) string {
	if !happened {
		return ""
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
