// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/l7mp/mc-wan/sandbox/addon"
	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/mesh"
	"github.com/l7mp/mc-wan/sandbox/progress"
)

const installTimeout = 12 * time.Minute

func (m *Manager) installMesh(ctx context.Context, c *cluster.Cluster) error {
	return m.install(ctx, c, "Istio ready, trust domain "+mesh.TrustDomain(c.Index), func(ctx context.Context, client *kube.Client, log io.Writer) error {
		return (&mesh.Mesh{Cluster: c, Log: log}).Install(ctx, client)
	})
}

func (m *Manager) installAddon(ctx context.Context, s *Sandbox, c *cluster.Cluster) error {
	return m.install(ctx, c, "mc-wan ready", func(ctx context.Context, client *kube.Client, log io.Writer) error {
		chart := filepath.Join(m.RepoRoot, "manifests", "charts", "mc-wan")
		return (&addon.Addon{Cluster: c, Chart: chart, Replicas: s.Record.Replicas, Log: log}).Install(ctx, client)
	})
}

// install does one installation, with its output in the cluster's log of tools.
func (m *Manager) install(ctx context.Context, c *cluster.Cluster, what string, f func(context.Context, *kube.Client, io.Writer) error) error {
	client, err := kube.New(c.Kubeconfig())
	if err != nil {
		return err
	}
	return m.do(ctx, installTimeout, progress.Step{Subject: c.Name, What: what, Log: c.Log(ToolsLog)}, func(ctx context.Context) error {
		return withLog(c.Log(ToolsLog), func(log io.Writer) error { return f(ctx, client, log) })
	})
}

// join makes every two clusters peers.
func (m *Manager) join(ctx context.Context, s *Sandbox) error {
	if len(s.Clusters) < 2 {
		return nil
	}
	first := s.Clusters[0]
	what := fmt.Sprintf("%d clusters joined", len(s.Clusters))
	return m.do(ctx, installTimeout, progress.Step{Subject: s.Record.Name, What: what, Log: first.Log(ToolsLog)}, func(ctx context.Context) error {
		return withLog(first.Log(ToolsLog), func(log io.Writer) error {
			for _, c := range s.Clusters {
				if err := addon.WaitCard(ctx, log, mcwanctl(c.Artifacts), s.Kubeconfig(), c.Name); err != nil {
					return err
				}
			}
			for i, c := range s.Clusters {
				for _, peer := range s.Clusters[i+1:] {
					if err := addon.Join(ctx, log, mcwanctl(c.Artifacts), s.Kubeconfig(), c.Name, peer.Name); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// mcwanctl is built beside the programs of the set, by make build.
func mcwanctl(set artifacts.Set) string { return filepath.Join(set.BinDir, "mcwanctl") }
