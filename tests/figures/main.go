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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

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
	flag.Parse()
	env, err := environment(ctx, strings.Fields(*sandbox), *samples)
	if err != nil {
		return err
	}
	if err := env.Play(ctx, story.Basic()[:2]); err != nil {
		return err
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

// exports exports payment and takes it away again, and measures from the export to the import and to the first answer.
func exports(ctx context.Context, env *story.Env, runs int) (imported, answered []time.Duration, err error) {
	curl, err := env.Consumer.ClientPod(ctx, story.NamespacePlain)
	if err != nil {
		return nil, nil, err
	}
	export := env.Samples + "/03-export-payment.yaml"
	for range runs {
		if err := env.Exporter.DeleteFile(ctx, export); err != nil {
			return nil, nil, err
		}
		if err := waitGone(ctx, env.Consumer); err != nil {
			return nil, nil, err
		}
		start := time.Now()
		if err := env.Exporter.ApplyFile(ctx, export); err != nil {
			return nil, nil, err
		}
		if err := waitImported(ctx, env.Consumer); err != nil {
			return nil, nil, err
		}
		imported = append(imported, time.Since(start))
		if _, err := curl.Run(ctx, "sh", "-c", "for i in $(seq 600); do curl -sS -o /dev/null --fail --max-time 2 "+story.PaymentURL+" 2>/dev/null && exit 0; done; exit 1"); err != nil {
			return nil, nil, fmt.Errorf("no answer: %w", err)
		}
		answered = append(answered, time.Since(start))
	}
	return imported, answered, nil
}

func waitImported(ctx context.Context, c *story.Cluster) error {
	return poll(ctx, func(ctx context.Context) (bool, error) {
		imp := &mcs.ServiceImport{}
		err := c.Get(ctx, client.ObjectKey{Namespace: "secure", Name: "payment"}, imp)
		return err == nil && len(imp.Spec.IPs) > 0, client.IgnoreNotFound(err)
	})
}

func waitGone(ctx context.Context, c *story.Cluster) error {
	return poll(ctx, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKey{Namespace: "secure", Name: "payment"}, &mcs.ServiceImport{})
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

func poll(ctx context.Context, done func(context.Context) (bool, error)) error {
	return wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, time.Minute, true, done)
}

// percentile is the nearest-rank percentile.
func percentile(all []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, (len(sorted)*p+99)/100-1)].Round(10 * time.Millisecond)
}
