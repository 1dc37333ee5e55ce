// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/dns"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/pki"
	"github.com/l7mp/mc-wan/sandbox/progress"
	"github.com/l7mp/mc-wan/sandbox/state"
)

// Bounds of the steps, for a machine that does much else besides: an idle one needs seconds. A component that gives up
// on a busy machine is started again meanwhile.
const (
	bootTimeout = 10 * time.Minute
	podTimeout  = 10 * time.Minute
	wanTimeout  = time.Minute
)

// Want is what is asked of Up. Nil fields are as they were, or the default of a new sandbox.
type Want struct {
	Clusters *int
	Istio    *bool
	Addon    *bool
	Replicas *int
	GOGC     *int
}

// Defaults are what a new sandbox is like.
func Defaults(name string, now time.Time) state.Record {
	return state.Record{Name: name, Clusters: 2, Istio: true, Addon: true, Replicas: 1, GOGC: state.DefaultGOGC, Created: now}
}

// Merge changes a record to what is wanted.
func (w Want) Merge(r state.Record) (state.Record, error) {
	if w.Clusters != nil && *w.Clusters < r.Clusters {
		return r, fmt.Errorf("clusters %d: sandbox %s has %d, and clusters cannot be taken away; remove it first with mcwan-sandbox down --name %s", *w.Clusters, r.Name, r.Clusters, r.Name)
	}
	assign(&r.Clusters, w.Clusters)
	assign(&r.Istio, w.Istio)
	assign(&r.Addon, w.Addon)
	assign(&r.Replicas, w.Replicas)
	assign(&r.GOGC, w.GOGC)
	return r, r.Validate()
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Up makes a sandbox, or what is missing of it, and returns when all of it is ready.
func (m *Manager) Up(ctx context.Context, name string, want Want) (*Sandbox, error) {
	if err := CheckPrerequisites(); err != nil {
		return nil, err
	}
	groups, err := cgroup.Detect(cgroup.DefaultMount)
	if err != nil {
		return nil, err
	}
	lock, err := m.Store.Lock(ctx, name, func() { m.Progress.Printf(name, "another mcwan-sandbox works on it, waiting") })
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	record, err := m.claim(ctx, name, want, groups)
	if err != nil {
		return nil, err
	}
	set, err := m.Build(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkJoiner(record, set); err != nil {
		return nil, err
	}
	s := m.assemble(record, set, groups)
	if err := checkInotify(s.Clusters); err != nil {
		return nil, err
	}
	if err := m.prepare(ctx, s); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, c := range s.Clusters {
		g.Go(func() error { return m.raise(gctx, s, c) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if record.Addon {
		if err := m.join(ctx, s); err != nil {
			return nil, err
		}
	}
	return s, m.importExtra(ctx, s)
}

// checkJoiner says beforehand that the clusters could not be joined in the end.
func checkJoiner(r *state.Record, set artifacts.Set) error {
	if !r.Addon || r.Clusters < 2 {
		return nil
	}
	if _, err := os.Stat(mcwanctl(set)); err != nil {
		return fmt.Errorf("mcwanctl, which joins the clusters: %w; build it with make build", err)
	}
	return nil
}

// claim reads or makes the sandbox's record. A new sandbox that cannot be leaves nothing behind.
func (m *Manager) claim(ctx context.Context, name string, want Want, groups *cgroup.Tree) (*state.Record, error) {
	if err := m.checkUnknown(name, groups); err != nil {
		return nil, m.forgetUnclaimed(name, err)
	}
	used, err := network.Used()
	if err != nil {
		return nil, err
	}
	first, err := want.Merge(withoutClusters(Defaults(name, m.Now()), want))
	if err != nil {
		return nil, m.forgetUnclaimed(name, err)
	}
	record, err := m.Store.Claim(ctx, first, network.Slots, func(slot int) bool { return network.Plan{Slot: slot}.Free(used) })
	if err != nil {
		return nil, m.forgetUnclaimed(name, err)
	}
	merged, err := want.Merge(*record)
	if err != nil {
		return nil, err
	}
	return &merged, m.Store.Save(&merged)
}

// checkUnknown refuses the name of a sandbox that runs without a record here: it may be one of another --state-dir.
func (m *Manager) checkUnknown(name string, groups *cgroup.Tree) error {
	if _, err := m.Store.Load(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	members, err := groups.Members(groupOf(name))
	if err != nil || len(members) == 0 {
		return err
	}
	return fmt.Errorf("a sandbox %q runs that %s knows nothing of; give its --state-dir, or remove it with mcwan-sandbox down --name %s", name, m.Store.Root, name)
}

// withoutClusters lets a new sandbox have fewer clusters than the default.
func withoutClusters(r state.Record, want Want) state.Record {
	if want.Clusters != nil {
		r.Clusters = *want.Clusters
	}
	return r
}

// prepare makes what the clusters share: networks, keys, the merged kubeconfig and the SD-WAN.
func (m *Manager) prepare(ctx context.Context, s *Sandbox) error {
	err := m.Progress.Do(progress.Step{Subject: s.Record.Name, What: "networks and keys made"}, func() error {
		if err := network.Ensure(s.Plan, s.Record.Clusters); err != nil {
			return err
		}
		return s.ensureKeys(m.Now())
	})
	if err != nil {
		return err
	}
	return m.Progress.Do(progress.Step{Subject: "sd-wan", What: "running", Log: s.WAN.Log()}, func() error {
		return s.StartWAN(ctx)
	})
}

func (s *Sandbox) ensureKeys(now time.Time) error {
	root, err := pki.EnsureRoot(s.rootDir(), s.Record.Name, now)
	if err != nil {
		return err
	}
	files := make([]string, 0, len(s.Clusters))
	for _, c := range s.Clusters {
		if err := pki.EnsureCluster(c.PKIDir(), c.Cluster, root, now); err != nil {
			return err
		}
		files = append(files, c.Kubeconfig())
	}
	merged, err := pki.MergeAdmin(files)
	if err != nil {
		return err
	}
	return state.WriteFile(s.Kubeconfig(), merged, 0o600)
}

// raise boots one cluster and installs what the record asks for.
func (m *Manager) raise(ctx context.Context, s *Sandbox, c *cluster.Cluster) error {
	if err := m.boot(ctx, c); err != nil {
		return err
	}
	if err := m.renewImages(ctx, c); err != nil {
		return err
	}
	if s.Record.Istio {
		if err := m.installMesh(ctx, c); err != nil {
			return err
		}
	}
	if s.Record.Addon {
		return m.installAddon(ctx, s, c)
	}
	return nil
}

func (m *Manager) boot(ctx context.Context, c *cluster.Cluster) error {
	begin := m.Now()
	var started bool
	err := m.do(ctx, bootTimeout, progress.Step{Subject: c.Name, What: "API server ready", Log: c.Log(cluster.KubernetesLog)}, func(ctx context.Context) (err error) {
		started, err = c.Boot(ctx)
		return err
	})
	if err != nil {
		return err
	}
	client, err := kube.New(c.Kubeconfig())
	if err != nil {
		return err
	}
	return m.do(ctx, podTimeout, progress.Step{Subject: c.Name, What: "node and CoreDNS ready", Log: c.Log(cluster.KubernetesLog)}, func(ctx context.Context) error {
		if err := dns.Install(ctx, client, c.Cluster); err != nil {
			return err
		}
		if !started {
			begin = time.Time{} // what is known of it is of its own time
		}
		if err := client.WaitNode(ctx, c.Name, begin); err != nil {
			return err
		}
		if err := client.WaitFresh(ctx, begin); err != nil {
			return err
		}
		return client.WaitDeployment(ctx, dns.Namespace, dns.Deployment)
	})
}

// do is Progress.Do with a bound.
func (m *Manager) do(ctx context.Context, bound time.Duration, step progress.Step, f func(context.Context) error) error {
	return m.Progress.Do(step, func() error {
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		return f(ctx)
	})
}
