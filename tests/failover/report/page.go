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

Each case goes with all protocols of its table at once. *h2* is GETs on one HTTP/2 connection; *put* may be repeated,
because the ServiceExport says so. *tcp* is a connection a request: banner, a line to and fro. Requests wait for an answer
for 10 s. GET, h2, PUT, POST and gRPC share the paths' HTTP/2 connections.

*plain* is the same load at the same time over an egress gateway without mc-wan: both tunnels as endpoints with the first
preferred, Istio's default outlier detection (with maxEjectionPercent 100, because the default tenth of a few endpoints is
none) and default retries, no prober; it is made anew before each case, with the hops of that moment. Only the run *Beside
the plain way* has it: it costs another gateway and as many requests again, and what the other runs measure would wait for
them on the same processors. For the same reason that run sends less. A cell has as many requests as its length times its
rate, there always less than 10,000: what becomes of one request in ten thousand is to be seen in the other runs only.

*before*, *during* and *after* say where requests went before it broke, in the last third of the time that the way was
broken, and in the last third of the time after it healed: the tunnels, then which cluster answered how many. Clusters
share the requests evenly while nothing is wrong. A tunnel with 5 % of the requests or less is left out, and one that is
then alone has no number. Requests say over which tunnel they came. TCP connections do not: their tunnel is the one that
most new connections of the egress gateways to the cluster that answered took in the half second in which they were over,
as the SD-WAN counts them. Those are nearly all of TCP clients, but it is a guess around a change. *unknown* is a tunnel
that is not known, *none* that of what the calling cluster answered itself.

*calm* is the slowest request of the seconds before it broke: what this machine does to requests when nothing is wrong.
*later* is the slowest request from 10 s after the way broke until it began to heal. *moved* and *back* follow the requests
that took what breaks: the tunnel, the way to the cluster, or that cluster's tunnel. *moved* is how long after it broke the
last of them was sent, *back* how long after it began to heal the first was sent again. They are empty where nothing breaks
that traffic could leave, where more than a tenth of it stayed, and where it was not back in time.

For all runs the sandbox's control planes collect garbage rarely (` + "`mcwan-sandbox up --gogc 400`" + `), and the controllers
make no [dummy Services](steering.md#dummy-services), thousands of objects that no case is about: both would take
processors from what is measured. The consumer's controllers are restarted before each case in which a tunnel gets bad
without breaking, and before any case for which a hop is not healthy, so that [earlier falls](tunnels.md#flapping) do not
delay its return.

`

// page is the whole report.
func page(r result.Report) []byte {
	var out bytes.Buffer
	out.WriteString(head)
	fmt.Fprintf(&out, "Measured with %d clusters, %d pods of each gateway and %d other imports on %d cores; congestion control: %s. Round trips of the tunnels: business 40 ms, default 60 ms, the others 120 ms.\n",
		r.Clusters, r.Gateways, r.Imports, r.CPUs, r.Congestion)
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

// bars are what requests are held to, and what they came to.
func bars(out *bytes.Buffer, run result.Run) {
	protocols := played(run)
	out.WriteString("\nWhat is asked: the whole bar of requests that may be repeated, and of all others where nothing breaks on the way; where it breaks, of the others only what is in brackets")
	if run.Untimed {
		out.WriteString("; times are for the runs *Under load* and *For minutes*")
	}
	out.WriteString(":\n\n| case | bar |")
	for _, p := range protocols {
		fmt.Fprintf(out, " %s |", p)
	}
	out.WriteString("\n|---|---|" + strings.Repeat("---|", len(protocols)) + "\n")
	var reasons []string
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
				fmt.Fprintf(out, " %s |", verdict(b, p, protocol))
			}
			out.WriteString("\n")
			if b.Why != "" {
				reasons = append(reasons, fmt.Sprintf("\n%s: %s\n", link(run, p), b.Why))
			}
		}
	}
	out.WriteString(strings.Join(reasons, ""))
}

// verdict is how a protocol kept the bar of a case; empty if it is not held to it.
func verdict(b result.Bar, p result.Played, protocol result.Protocol) string {
	c := p.Cell(protocol)
	if c == nil || !b.Judges(protocol) {
		return ""
	}
	return cmp.Or(strings.Join(b.Breaches(&p, c), "; "), "held")
}

func section(out *bytes.Buffer, run result.Run, p result.Played) {
	fmt.Fprintf(out, "\n### %s\n\n%s, from %s to %s%s.\n\n", name(run, p), p.Title, p.Broke.Round(time.Second), p.Healed.Round(time.Second), since(p))
	out.WriteString("| protocol | sent | failed | calm | slowest | later | moved | back | before | during | after | plain: failed | plain: slowest |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for i, c := range p.Ours {
		plain := []string{"", ""}
		if i < len(p.Plain) {
			plain = []string{fmt.Sprintf("%d of %d", p.Plain[i].Failed, p.Plain[i].Sent), ms(p.Plain[i].Slowest)}
		}
		fmt.Fprintf(out, "| %s | %d | %d | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", c.Protocol, c.Sent, c.Failed, ms(c.Calm(&p)), ms(c.Slowest),
			ms(c.Settled), seconds(c.Moved, c.Left), seconds(c.Back, c.Back > 0), c.Before, c.During, c.After, strings.Join(plain, " | "))
	}
	for _, c := range p.Ours {
		if c.Failed > 0 {
			fmt.Fprintf(out, "\n%s failed with: %s.\n", c.Protocol, commonErrors(c.Errors))
		}
	}
	fmt.Fprintf(out, "\n![latency of each request over time](images/failover/%s.png)\n", name(run, p))
}

// since says when the tunnel broke, where something else did first.
func since(p result.Played) string {
	if p.Cut-p.Broke < time.Second {
		return ""
	}
	return fmt.Sprintf(", the tunnel from %s", p.Cut.Round(time.Second))
}

// commonErrors are the three most frequent ones.
func commonErrors(errors map[string]int) string {
	texts := slices.SortedFunc(maps.Keys(errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(errors[b], errors[a]), cmp.Compare(a, b))
	})
	var out []string
	for _, t := range texts[:min(3, len(texts))] {
		out = append(out, fmt.Sprintf("%d x `%s`", errors[t], excerpt(strings.ReplaceAll(t, "`", "'"))))
	}
	return strings.Join(out, "; ")
}

// excerpt is a text that fits a line: a long one without its middle, because errors end with the reason.
func excerpt(text string) string {
	const most, begin, gap = 200, 60, " ... "
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:begin]+gap+text[len(text)-(most-begin-len(gap)):], "")
}

// seconds is empty for what did not happen.
func seconds(d time.Duration, happened bool) string {
	if !happened {
		return ""
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
