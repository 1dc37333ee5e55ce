// SPDX-License-Identifier: Apache-2.0

package sdwan

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/state"
	"github.com/l7mp/mc-wan/sandbox/wan"
	"github.com/l7mp/mc-wan/sandbox/wanclass"
)

// retryAfter is how long to wait before classes that the SD-WAN did not take are given to it again.
const retryAfter = time.Second

// Run is the process: it reads its configuration from a file and runs until ctx ends or the SD-WAN fails.
func Run(ctx context.Context, configFile string, log *slog.Logger) error {
	var c Config
	if err := readJSON(configFile, &c); err != nil {
		return err
	}
	if err := cgroup.Enter(c.CgroupFiles); err != nil {
		return err
	}
	last, err := readSorted(c.SortedFile)
	if err != nil {
		log.Warn("the classes of the last run are lost", "error", err)
	}
	c.WAN.Classes, c.WAN.Log = last.Plan.Classes, log
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return wan.Run(ctx, c.WAN) })
	watcher := wanclass.NewWatcher(last.Policies, log)
	for cluster, kubeconfig := range c.Kubeconfigs {
		config, err := kube.Config(kubeconfig)
		if err != nil {
			return err
		}
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return err
		}
		g.Go(func() error { watcher.Follow(ctx, cluster, client); return nil })
	}
	g.Go(func() error {
		(&sorter{watcher: watcher, client: wan.NewClient(c.WAN.ControlSocket), file: c.SortedFile, log: log}).run(ctx)
		return nil
	})
	return g.Wait()
}

// sorter gives the SD-WAN the classes that the policies ask for.
type sorter struct {
	watcher *wanclass.Watcher
	client  *wan.Client
	file    string
	log     *slog.Logger
}

func (s *sorter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.watcher.Changed():
		}
		_ = wait.PollUntilContextCancel(ctx, retryAfter, true, func(ctx context.Context) (bool, error) { // fails when ctx ends
			err := s.apply(ctx)
			if err != nil {
				s.log.Error("the SD-WAN's classes are not set", "error", err)
			}
			return err == nil, nil
		})
	}
}

func (s *sorter) apply(ctx context.Context) error {
	status, err := s.client.Status(ctx)
	if err != nil {
		return err
	}
	tunnels := make([]string, 0, len(status.Tunnels))
	for _, t := range status.Tunnels {
		tunnels = append(tunnels, t.Name)
	}
	policies := s.watcher.Policies()
	plan := wanclass.Classes(policies, tunnels)
	for _, p := range plan.Problems {
		s.log.Warn("a WAN policy cannot be followed", "problem", p)
	}
	if err := s.client.SetClasses(ctx, plan.Classes); err != nil {
		return err
	}
	data, err := json.Marshal(sorted{Policies: policies, Plan: plan})
	if err != nil {
		return err
	}
	if err := state.WriteFile(s.file, data, 0o600); err != nil {
		return fmt.Errorf("keep classes: %w", err)
	}
	s.log.Info("classes set", "classes", plan.Classes)
	return nil
}
