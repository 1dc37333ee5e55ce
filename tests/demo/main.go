// SPDX-License-Identifier: Apache-2.0

// Command demo plays the story on the sandbox's clusters, a line per step, and leaves them running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/l7mp/mc-wan/tests/story"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	sandbox := flag.String("sandbox", "bin/mcwan-sandbox", "the sandbox's command")
	samples := flag.String("samples", "samples", "the folder of the samples")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	out, err := exec.CommandContext(ctx, *sandbox, "kubeconfig").Output()
	if err != nil {
		return errors.Join(fmt.Errorf("%s kubeconfig: %w", *sandbox, err), errors.New("bring the sandbox up first: make demo"))
	}
	kubeconfig := strings.TrimSpace(string(out))
	env := &story.Env{Samples: *samples, Out: os.Stdout, WAN: &story.WAN{Command: []string{*sandbox}}}
	if env.Consumer, err = story.Connect(kubeconfig, "cluster-1"); err != nil {
		return err
	}
	if env.Exporter, err = story.Connect(kubeconfig, "cluster-2"); err != nil {
		return err
	}
	start := time.Now()
	if err := env.Play(ctx, slices.Concat(story.Basic(), story.Sharing(), story.Failover(), story.Security(), story.End(), story.Again())); err != nil {
		return err
	}
	fmt.Printf("\nThe story took %s. Everything is left running; try next:\n", time.Since(start).Round(time.Second))
	fmt.Printf("  export KUBECONFIG=%s PATH=$PWD/bin:$PATH\n", kubeconfig)
	fmt.Println("  mcwanctl --context cluster-1 status payment/secure")
	fmt.Println("  kubectl --context cluster-1 -n plain exec deploy/client -- curl -s " + story.PaymentURL)
	fmt.Println("  mcwan-sandbox wan            # the tunnels and what they carried; `mcwan-sandbox wan set business --state refused` breaks one")
	fmt.Println("`make e2e` plays more: steering by request, brownouts, a tunnel that dies without a word. `make down` removes it all.")
	return nil
}
