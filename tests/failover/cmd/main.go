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
	cases   string
	out     string
	plain   bool
	imports int
	timing  failover.Timing
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
	flag.StringVar(&o.cases, "cases", "", "cases to play, separated by commas (default: all)")
	flag.StringVar(&o.out, "out", "build/failover/results.json", "where to write the results")
	flag.BoolVar(&o.plain, "plain", true, "send the same load the plain way beside it")
	flag.IntVar(&o.imports, "imports", 100, "how many other services the clusters import meanwhile")
	flag.DurationVar(&o.timing.Calm, "calm", 10*time.Second, "time before it breaks")
	flag.DurationVar(&o.timing.Broken, "broken", 3*time.Minute, "time that it is broken")
	flag.DurationVar(&o.timing.After, "after", 30*time.Second, "time after it has healed")
	flag.IntVar(&o.timing.GETRate, "get-rate", 200, "GETs a second")
	flag.IntVar(&o.timing.Rate, "rate", 50, "requests a second of the other protocols, each")
	flag.Parse()
	return o
}

func run(ctx context.Context, o options) error {
	bench, err := connect(ctx, strings.Fields(o.sandbox))
	if err != nil {
		return err
	}
	report := result.Report{When: time.Now().UTC().Truncate(time.Second), Clusters: 1 + len(bench.Exporters), CPUs: runtime.NumCPU(), Imports: o.imports}
	report.Load[0] = load()
	if report.Gateways, err = gateways(ctx, bench); err != nil {
		return err
	}
	// What was played is written down also when a later case fails.
	err = errors.Join(play(ctx, bench, o, &report), bench.Down(context.WithoutCancel(ctx)))
	report.Load[1] = load()
	return errors.Join(err, write(o.out, report))
}

func play(ctx context.Context, bench *failover.Bench, o options, report *result.Report) error {
	if err := bench.Up(ctx); err != nil {
		return err
	}
	if o.imports > 0 {
		if err := bench.Neighbours(ctx, o.imports); err != nil {
			return err
		}
	}
	plain := ""
	if o.plain {
		host, err := bench.Plain(ctx)
		if err != nil {
			return fmt.Errorf("the plain way: %w", err)
		}
		plain = host
		defer func() { _ = bench.PlainDown(context.WithoutCancel(ctx)) }() // a test's leftovers; the report is what counts
	}
	names := strings.FieldsFunc(o.cases, func(r rune) bool { return r == ',' })
	var errs []error
	for _, c := range failover.Cases() {
		if (len(names) > 0 && !slices.Contains(names, c.Name)) || c.Clusters > len(bench.Exporters) || ctx.Err() != nil {
			continue
		}
		played, err := bench.Play(ctx, c, o.timing, result.Protocols(), plain)
		if err != nil {
			errs = append(errs, err)
			bench.Say("%s: %v", c.Name, err)
			continue
		}
		report.Cases = append(report.Cases, *played)
		bench.Say("%s", result.Line(played))
	}
	return errors.Join(errs...)
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
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
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
