// SPDX-License-Identifier: Apache-2.0

// Command figures measures what docs/figures.md states, on the sandbox's clusters, and prints it as Markdown: the time
// from an export to the first answered request, and what the processes use. Timings of a shared machine are noisy: it
// prints medians and 99th percentiles of many runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/l7mp/mc-wan/tests/story"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	sandbox := flag.String("sandbox", "bin/mcwan-sandbox", "the sandbox's command with its flags")
	samples := flag.String("samples", "samples", "the folder of the samples")
	runs := flag.Int("runs", 50, "how often to export and unexport")
	many := flag.Int("many", 0, "measure in place of all else how soon a verdict of the prober is live in so many legs; a sandbox of its own is best")
	tcp := flag.Int("tcp", 0, "how many of them are TCP ports, which have paths of their own")
	flag.Parse()
	env, err := environment(ctx, strings.Fields(*sandbox), *samples)
	if err != nil {
		return err
	}
	if err := env.Play(ctx, story.Basic()[:2]); err != nil {
		return err
	}
	if *many > 0 {
		return printVerdicts(ctx, env, *many, *tcp)
	}
	for _, c := range env.Clusters() {
		if err := usage(ctx, c, os.Stdout); err != nil {
			return err
		}
	}
	imported, answered, err := exports(ctx, env, *runs)
	if err != nil {
		return err
	}
	fmt.Printf("\n| from `kubectl apply` of the ServiceExport to | p50 | p99 |\n|---|---|---|\n")
	fmt.Printf("| ServiceImport with its ClusterSetIP in the other cluster | %s | %s |\n", percentile(imported, 50), percentile(imported, 99))
	fmt.Printf("| first answered request of a client in the other cluster | %s | %s |\n", percentile(answered, 50), percentile(answered, 99))
	return nil
}

func printVerdicts(ctx context.Context, env *story.Env, many, tcp int) error {
	const runs = 5
	took, err := verdicts(ctx, env, many, tcp, runs)
	if err != nil {
		return err
	}
	fmt.Printf("| from a verdict to every path in the order that it asks for, %d legs, of which %d TCP, %d times | %s to %s |\n",
		many, tcp, runs, percentile(took, 0), percentile(took, 100))
	return nil
}

func environment(ctx context.Context, sandbox []string, samples string) (*story.Env, error) {
	out, err := exec.CommandContext(ctx, sandbox[0], append(slices.Clone(sandbox[1:]), "kubeconfig")...).Output()
	if err != nil {
		return nil, fmt.Errorf("%v kubeconfig: %w", sandbox, err)
	}
	env := &story.Env{Samples: samples, Out: os.Stderr, WAN: &story.WAN{Command: sandbox}}
	kubeconfig := strings.TrimSpace(string(out))
	if env.Consumer, err = story.Connect(kubeconfig, "cluster-1"); err != nil {
		return nil, err
	}
	env.Exporter, err = story.Connect(kubeconfig, "cluster-2")
	return env, err
}

// percentile is the nearest-rank percentile.
func percentile(all []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, (len(sorted)*p+99)/100-1)].Round(10 * time.Millisecond)
}
