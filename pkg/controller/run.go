// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/mcsapi"
	"github.com/l7mp/mc-wan/pkg/probe"
	"github.com/l7mp/mc-wan/pkg/translate"
)

const (
	// leaseName is the Lease in mc-wan that the leader holds.
	leaseName = "mcw-controller"
	// Concurrency of the reconcilers that have a key per service: most of their time is waiting for the API server.
	workers = 16
	// Requests to the API server per second and burst, high enough for a thousand imports to be written at start; the API
	// server's own fairness protects it.
	requestsPerSecond = 400
	requestBurst      = 800
	// A leader that cannot renew its Lease ends, so an API server that is slow for a while must not look like that. A
	// leader that ends on purpose gives its Lease up at once; only after a crash does another one wait for leaseDuration.
	leaseDuration = 30 * time.Second
	renewDeadline = 20 * time.Second
	renewEvery    = 4 * time.Second
)

// Run runs the controller until ctx ends or it cannot go on.
func Run(ctx context.Context, opts Options) error {
	if err := opts.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mcs, err := discoverMCS(opts.Config)
	if err != nil {
		return err
	}
	scheme, err := NewSchemeFor(mcs.Version)
	if err != nil {
		return err
	}
	mgr, err := newManager(opts, scheme, mcs.vanished(opts.Config, cancel))
	if err != nil {
		return err
	}
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	ranges, err := servesRanges(opts.Config)
	if err != nil {
		return err
	}
	if err := warm(ctx, mgr.GetCache(), optionalKinds(ranges)...); err != nil {
		return err
	}
	self, err := lookup(ctx, mgr.GetAPIReader(), opts)
	switch {
	case ctx.Err() != nil:
		return nil // told to stop
	case err != nil:
		return err
	}
	self.MCSVersion = mcs.Version
	c := newCore(mgr, opts, self, mcs.API, cancel)
	c.ranges = ranges
	if err := wire(mgr, c); err != nil {
		return err
	}
	opts.Log.Info("Starting", "cluster", self.ID, "uid", self.UID, "trustDomain", self.TrustDomain, "version", opts.Version)
	err = mgr.Start(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

func newManager(opts Options, scheme *runtime.Scheme, watchFails toolscache.WatchErrorHandlerWithContext) (manager.Manager, error) {
	cfg := rest.CopyConfig(opts.Config)
	cfg.QPS, cfg.Burst = requestsPerSecond, requestBurst
	cfg.UserAgent = "mcwan-controller/" + opts.Version
	cacheOpts := cacheOptions(opts.IstioNamespace, opts.IstioRevision)
	cacheOpts.DefaultWatchErrorHandler = watchFails
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        opts.Log,
		Cache:                         cacheOpts,
		Metrics:                       metricsserver.Options{BindAddress: opts.MetricsBindAddress},
		HealthProbeBindAddress:        opts.HealthProbeBindAddress,
		LeaderElection:                opts.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       v1alpha1.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 new(leaseDuration),
		RenewDeadline:                 new(renewDeadline),
		RetryPeriod:                   new(renewEvery),
		// What controller-runtime tells of itself, and warnings of admission webhooks, are for those who debug.
		Controller: config.Controller{SkipNameValidation: new(true), Logger: opts.Log.V(1)},
	})
	if err != nil {
		return nil, fmt.Errorf("setting up: %w", err)
	}
	return mgr, nil
}

// newCore makes what the reconcilers share.
func newCore(mgr manager.Manager, opts Options, self translate.Cluster, mcs mcsapi.API, restart func(error)) *core {
	c := &core{
		opts:     opts,
		self:     self,
		mcs:      mcs,
		cache:    mgr.GetCache(),
		notes:    &notes{recorder: mgr.GetEventRecorder("mc-wan"), log: opts.Log},
		metrics:  newMetrics(),
		now:      time.Now,
		restart:  restart,
		paths:    newPathUse(time.Now),
		gate:     newGate(opts.PeerSyncTimeout, time.Now),
		drains:   newDrains(opts.AckSettle, time.Now),
		peerBook: newPeerBook(),
		hops:     newHopBook(),
		reach:    newReach(opts.WithdrawAfter),
		blocked:  newBlocked(),

		hopsChanged: make(chan struct{}, 1),
	}
	c.self.OwnAddress = c.ownAddress
	c.applier = apply.New(apply.Options{
		Client: mgr.GetClient(), Cache: mgr.GetCache(), Scheme: mgr.GetScheme(),
		Label: v1alpha1.LabelManagedBy, Value: v1alpha1.ValueManagedBy, Trim: mcs.Trim,
	})
	c.ports = newPortStore(mgr.GetClient(), mgr.GetAPIReader(), c.notes.portFinding)
	return c
}

// wire adds everything that runs to the manager.
func wire(mgr manager.Manager, c *core) error {
	if err := c.metrics.register(c.opts.Registerer, c); err != nil {
		return err
	}
	s := &store{core: c}
	if err := c.newProperties(mgr); err != nil {
		return err
	}
	server, readers, announcer, err := newFeed(c, s, mgr.GetConfig())
	if err != nil {
		return err
	}
	version, err := serverVersion(mgr.GetConfig())
	if err != nil {
		return err
	}
	reconcilers := []struct {
		name    string
		workers int
		sources []source.Source
		reconcile.Reconciler
	}{
		{"export", workers, c.exportSources(mgr.GetCache()), &exportReconciler{core: c, linger: newLinger[apply.Ref](c.opts.DrainDeadline, c.now)}},
		{"import", workers, c.importSources(mgr.GetCache()), &importReconciler{core: c}},
		{"path", workers, c.pathSources(mgr.GetCache()), &pathReconciler{core: c}},
		{"fleet", 1, c.fleetSources(mgr.GetCache()), newFleetReconciler(c, announcer, mgr.GetAPIReader(), version)},
		{"peer", 1, c.peerSources(mgr.GetCache(), readers.Recheck), &peerReconciler{core: c, store: s, readers: readers, announcer: announcer}},
	}
	for _, r := range reconcilers {
		if err := addController(mgr, r.name, r.workers, r.Reconciler, r.sources); err != nil {
			return err
		}
	}
	watch := newHopWatch(c)
	if err := registerHops(c.opts.Registerer, func() []probe.Report { return c.hops.states(watch.prober.Reports()) }); err != nil {
		return err
	}
	serving := everywhere(func(ctx context.Context) error { return c.serveFeed(ctx, server) })
	rechecking := everywhere(func(ctx context.Context) error { return recheckCallers(ctx, mgr.GetCache(), server) })
	for _, runnable := range []manager.Runnable{serving, rechecking, readers, announcer, &starter{core: c}, watch, newStandbyKeeper(c), c.properties} {
		if err := mgr.Add(runnable); err != nil {
			return fmt.Errorf("setting up: %w", err)
		}
	}
	return addChecks(mgr)
}

func addController(mgr manager.Manager, name string, workers int, r reconcile.Reconciler, sources []source.Source) error {
	ctl, err := controller.New(name, mgr, controller.Options{Reconciler: untilStopped(r), MaxConcurrentReconciles: workers})
	if err != nil {
		return fmt.Errorf("setting up %s: %w", name, err)
	}
	for _, src := range sources {
		if err := ctl.Watch(src); err != nil {
			return fmt.Errorf("setting up %s: %w", name, err)
		}
	}
	return nil
}

// untilStopped keeps what breaks because the process ends from being told as an error.
func untilStopped(r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		result, err := r.Reconcile(ctx, req)
		if err != nil && ctx.Err() != nil {
			return reconcile.Result{}, nil
		}
		return result, err
	})
}

// addChecks: alive is who answers, ready is who has read what it decides by.
func addChecks(mgr manager.Manager) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("setting up health checks: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", cacheSynced(mgr.GetCache())); err != nil {
		return fmt.Errorf("setting up health checks: %w", err)
	}
	return nil
}

func serverVersion(cfg *rest.Config) (string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return "", fmt.Errorf("asking for the version of the API server: %w", err)
	}
	info, err := client.ServerVersion()
	if err != nil {
		return "", fmt.Errorf("asking for the version of the API server: %w", err)
	}
	return info.GitVersion, nil
}
