// SPDX-License-Identifier: Apache-2.0

// Command mcwan-controller joins its cluster to the others over the SD-WAN.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/l7mp/mc-wan/pkg/controller"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0 when it was told to stop, 1 when it cannot go on, 2 for wrong usage.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	opts, logs, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		opts.Log, err = logs.logger(stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "mcwan-controller:", err)
		return 2
	}
	ctrl.SetLogger(opts.Log)
	klog.SetLogger(opts.Log)
	if opts.Config, err = config.GetConfig(); err == nil {
		opts.Registerer = metrics.Registry
		err = controller.Run(ctx, opts)
	}
	if err != nil {
		opts.Log.Error(err, "Stopping")
		return 1
	}
	return 0
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (controller.Options, logOptions, error) {
	opts, logs := controller.DefaultOptions(), logOptions{}
	opts.Version = version
	flags := flag.NewFlagSet("mcwan-controller", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.ClusterID, "cluster-id", "", "id of this cluster among all that are joined: a DNS label (required)")
	flags.StringVar(&opts.TrustDomain, "trust-domain", "", "trust domain of the mesh; empty reads it from the mesh configuration")
	flags.StringVar(&opts.IstioNamespace, "istio-namespace", opts.IstioNamespace, "namespace of istiod")
	flags.StringVar(&opts.IstioRevision, "istio-revision", "", "revision of istiod; empty is the default one")
	flags.StringVar(&opts.EgressServiceAccount, "egress-service-account", opts.EgressServiceAccount, "service account of the egress gateway")
	flags.StringVar(&opts.IngressServiceAccount, "ingress-service-account", opts.IngressServiceAccount, "service account of the ingress gateway")
	flags.StringVar(&opts.MetricsBindAddress, "metrics-bind-address", opts.MetricsBindAddress, "where metrics are served; 0 turns them off")
	flags.StringVar(&opts.HealthProbeBindAddress, "health-probe-bind-address", opts.HealthProbeBindAddress, "where /healthz and /readyz are served; 0 turns them off")
	flags.StringVar(&opts.FeedBindAddress, "feed-bind-address", opts.FeedBindAddress, "where the feed for peers is served to the ingress gateway")
	flags.BoolVar(&opts.LeaderElect, "leader-elect", opts.LeaderElect, "let one of several replicas write")
	flags.DurationVar(&opts.PeerSyncTimeout, "peer-sync-timeout", opts.PeerSyncTimeout, "how long a new import waits for peers that have not been read yet")
	flags.BoolVar(&opts.DummyServices, "dummy-services", opts.DummyServices, "make a dummy Service for each import and WAN policy on offer")
	flags.DurationVar(&opts.WithdrawAfter, "withdraw-after", opts.WithdrawAfter, "how long neither feed nor hops of a peer answer until its exports are used only where no other cluster serves")
	flags.DurationVar(&opts.LeaveLinger, "leave-linger", opts.LeaveLinger, "how long a cluster whose Peer is gone is still let in, so that it learns of it and uses other exporters first; 0 turns it away at once")
	flags.DurationVar(&opts.DrainDeadline, "drain-deadline", opts.DrainDeadline, "how long the way to an unexported service stays at the latest")
	flags.StringVar(&logs.level, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&logs.format, "log-format", "json", "json or text")
	if err := flags.Parse(args); err != nil {
		return opts, logs, err
	}
	if flags.NArg() > 0 {
		return opts, logs, fmt.Errorf("unknown argument %q: only flags are taken, see --help", flags.Arg(0))
	}
	return opts, logs, nil
}

type logOptions struct{ level, format string }

func (o logOptions) logger(w io.Writer) (logr.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		return logr.Logger{}, fmt.Errorf("--log-level %q: choose debug, info, warn or error", o.level)
	}
	settings := &slog.HandlerOptions{Level: level}
	switch o.format {
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(w, settings)), nil
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(w, settings)), nil
	}
	return logr.Logger{}, fmt.Errorf("--log-format %q: choose json or text", o.format)
}
