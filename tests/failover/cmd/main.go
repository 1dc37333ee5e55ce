// SPDX-License-Identifier: Apache-2.0

// Command cmd plays failure cases on a sandbox and writes what became of every request to a file of JSON, from which
// tests/failover/report makes docs/failover-report.md. `make failover-report` does both.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/tests/failover"
	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

type options struct {
	sandbox string
	runs    string
	cases   string
	out     string
	imports int
	broken  time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse()); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		stop()
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.StringVar(&o.sandbox, "sandbox", "bin/mcwan-sandbox", "the sandbox's command with its flags; it needs two clusters, three for cases in which one is lost")
	flag.StringVar(&o.runs, "runs", "", "runs to play, separated by commas (default: all, or those that play the cases)")
	flag.StringVar(&o.cases, "cases", "", "cases to play of each run, or of one, as RUN/CASE, separated by commas (default: all that belong to it)")
	flag.StringVar(&o.out, "out", "build/failover/results.json", "where to write the results")
	flag.IntVar(&o.imports, "imports", 100, "how many other services the clusters import meanwhile")
	flag.DurationVar(&o.broken, "broken", 0, "time that a case is broken (default: the run's)")
	flag.Parse()
	return o
}

func run(ctx context.Context, o options) error {
	runs, err := o.selected()
	if err != nil {
		return err
	}
	bench, err := connect(ctx, strings.Fields(o.sandbox))
	if err != nil {
		return err
	}
	report := result.Report{Clusters: 1 + len(bench.Exporters), CPUs: runtime.NumCPU(), Imports: o.imports, Congestion: firstLine("/proc/sys/net/ipv4/tcp_congestion_control")}
	if report.Gateways, err = gateways(ctx, bench); err != nil {
		return err
	}
	// What was played is written down also when a later case fails.
	err = play(ctx, bench, o.imports, runs, &report)
	return errors.Join(err, write(o.out, report), bench.Down(context.WithoutCancel(ctx)))
}

// selected are the runs that are asked for, with their cases; a name that is none is an error.
func (o options) selected() ([]failover.Run, error) {
	split := func(list string) []string { return strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) }
	names, cases := split(o.runs), split(o.cases)
	known, out := failover.Runs(), []failover.Run(nil)
	for _, name := range names {
		if !slices.ContainsFunc(known, func(r failover.Run) bool { return r.Name == name }) {
			return nil, fmt.Errorf("-runs: there is no run %q", name)
		}
	}
	for _, name := range cases {
		of, name := cutRun(name)
		if !slices.ContainsFunc(failover.Cases(), func(c failover.Case) bool { return c.Name == name }) {
			return nil, fmt.Errorf("-cases: there is no case %q", name)
		}
		if of != "" && !slices.ContainsFunc(known, func(r failover.Run) bool { return r.Name == of && r.Plays(name) }) {
			return nil, fmt.Errorf("-cases: there is no run %q that plays %q", of, name)
		}
	}
	for _, r := range known {
		if len(names) > 0 && !slices.Contains(names, r.Name) {
			continue
		}
		switch wanted := casesOf(r, cases); {
		case len(wanted) > 0:
			r.Cases = wanted
		case len(cases) > 0 && len(names) == 0:
			continue
		}
		if o.broken > 0 {
			r.Broken = o.broken
		}
		out = append(out, r)
	}
	return out, nil
}

// cutRun splits RUN/CASE; without a run it is a case of any.
func cutRun(text string) (run, name string) {
	if run, name, ofOne := strings.Cut(text, "/"); ofOne {
		return run, name
	}
	return "", text
}

// casesOf are those of the cases that a run is to play; none if nothing is said of it, or all that is said is of others.
func casesOf(r failover.Run, cases []string) []string {
	var out []string
	for _, c := range cases {
		if of, name := cutRun(c); (of == "" || of == r.Name) && r.Plays(name) {
			out = append(out, name)
		}
	}
	return out
}

func play(ctx context.Context, bench *failover.Bench, imports int, runs []failover.Run, report *result.Report) error {
	if err := bench.Up(ctx); err != nil {
		return err
	}
	if imports > 0 {
		if err := bench.Neighbours(ctx, imports); err != nil {
			return err
		}
	}
	var errs []error
	for _, r := range runs {
		played, err := playRun(ctx, bench, r)
		report.Runs = append(report.Runs, played)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// playRun returns what was played also with an error.
func playRun(ctx context.Context, bench *failover.Bench, r failover.Run) (out result.Run, err error) {
	out = result.Run{
		Name: r.Name, Title: r.Title, When: time.Now().UTC().Truncate(time.Second),
		Setup: failover.Setup, Untimed: r.Untimed, GETRate: r.GETRate, Rate: r.Rate,
	}
	if r.AsInstalled {
		out.Setup = failover.Untuned
	}
	l, undo, err := prepare(ctx, bench, r)
	defer func() { err = errors.Join(err, undo(context.WithoutCancel(ctx))) }()
	if err != nil {
		return out, fmt.Errorf("run %s: %w", r.Name, err)
	}
	out.Load[0] = load()
	defer func() { out.Load[1] = load() }()
	var errs []error
	for _, c := range failover.Cases() {
		if !r.Plays(c.Name) || c.Clusters > len(bench.Exporters) || ctx.Err() != nil {
			continue
		}
		played, err := playCase(ctx, bench, r, c, l)
		if err != nil {
			errs = append(errs, err)
			bench.Say("%s: %v", c.Name, err)
			continue
		}
		out.Cases = append(out.Cases, *played)
		bench.Say("%s", result.Line(played))
	}
	return out, errors.Join(errs...)
}

// playCase plays a case where the gateways are as the run says that they are.
func playCase(ctx context.Context, bench *failover.Bench, r failover.Run, c failover.Case, l failover.Traffic) (*result.Played, error) {
	if err := bench.HasTailLossProbes(ctx, r.AsInstalled); err != nil {
		return nil, fmt.Errorf("tail loss probes: %w", err)
	}
	return bench.Play(ctx, c, l)
}

// prepare makes what the run needs besides what all need; undo removes it.
func prepare(ctx context.Context, bench *failover.Bench, r failover.Run) (l failover.Traffic, undo func(context.Context) error, err error) {
	l, undo = r.Traffic, func(context.Context) error { return nil }
	switch {
	case r.Beside:
		undo = bench.PlainDown
		l.PlainHost, err = bench.Plain(ctx)
	case r.Sidecar:
		undo = bench.SidecarDown
		err = bench.Sidecar(ctx)
	case r.AsInstalled:
		undo = func(ctx context.Context) error { return bench.AsInstalled(ctx, false) }
		err = bench.AsInstalled(ctx, true)
	}
	return l, undo, err
}

func connect(ctx context.Context, sandbox []string) (*failover.Bench, error) {
	argv := append(slices.Clone(sandbox), "kubeconfig")
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w; bring the sandbox up first", argv, err)
	}
	kubeconfig := strings.TrimSpace(string(out))
	return failover.Connect(&story.WAN{Command: sandbox}, kubeconfig, os.Stdout)
}

func gateways(ctx context.Context, b *failover.Bench) (int, error) {
	pods, err := b.Consumer.ReadyPods(ctx, "mc-wan", client.MatchingLabels{"mcw.l7mp.io/gateway": "egress"})
	return len(pods), err
}

// load is the machine's load averages.
func load() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// firstLine is what the kernel says in a file.
func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func write(path string, report result.Report) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
