// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"time"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/progress"
	"github.com/l7mp/mc-wan/sandbox/sdwan"
	"github.com/l7mp/mc-wan/sandbox/state"
)

// Manager works on the sandboxes of this machine.
type Manager struct {
	Store state.Store
	// RepoRoot is the folder of the product's go.mod: programs, images and the chart are made from it.
	RepoRoot string
	// Build returns the programs and images, made from RepoRoot as far as they are not there.
	Build func(ctx context.Context) (artifacts.Set, error)
	// Extra returns further images that every cluster gets; nil for none. They are not remembered: the next Up has to be
	// given them again only if the cluster is to have newer ones.
	Extra func(ctx context.Context) ([]artifacts.Image, error)
	// Progress is told of every step.
	Progress *progress.Log
	// Now is the clock.
	Now func() time.Time
}

// ErrNoSandbox says that there is no sandbox of that name.
var ErrNoSandbox = errors.New("no such sandbox")

// Sandbox is one sandbox and its parts.
type Sandbox struct {
	Record state.Record
	// Dir is the sandbox's folder.
	Dir      string
	Plan     network.Plan
	Clusters []*cluster.Cluster
	WAN      *sdwan.SDWAN
}

// Sandbox finds a sandbox by name; ErrNoSandbox if there is none.
func (m *Manager) Sandbox(name string) (*Sandbox, error) {
	if err := state.ValidateName(name); err != nil {
		return nil, err
	}
	record, err := m.Store.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q; make it with mcwan-sandbox up --name %s", ErrNoSandbox, name, name)
	}
	if err != nil {
		return nil, err
	}
	groups, err := cgroup.Detect(cgroup.DefaultMount)
	if err != nil {
		return nil, err
	}
	return m.assemble(record, artifacts.Set{}, groups), nil
}

func (m *Manager) assemble(r *state.Record, set artifacts.Set, groups *cgroup.Tree) *Sandbox {
	dir := m.Store.Dir(r.Name)
	s := &Sandbox{Record: *r, Dir: dir, Plan: network.Plan{Name: r.Name, Slot: r.Slot}}
	for _, c := range s.Plan.Clusters(r.Clusters) {
		s.Clusters = append(s.Clusters, &cluster.Cluster{Cluster: c, Sandbox: r.Name, Dir: filepath.Join(dir, c.Name), Artifacts: set, GOGC: r.GOGC, Groups: groups})
	}
	s.WAN = sdwan.New(dir, groupOf(r.Name), groups)
	return s
}

func groupOf(name string) string { return path.Join(cluster.GroupRoot, name) }

// Kubeconfig is the file with a context per cluster.
func (s *Sandbox) Kubeconfig() string { return filepath.Join(s.Dir, "kubeconfig") }

// StopWAN turns the SD-WAN off, until StartWAN or Up.
func (s *Sandbox) StopWAN(ctx context.Context) error { return s.WAN.Stop(ctx) }

// StartWAN turns the SD-WAN on, unless it is.
func (s *Sandbox) StartWAN(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wanTimeout)
	defer cancel()
	_, err := s.WAN.Start(ctx, s.members())
	return err
}

func (s *Sandbox) rootDir() string { return filepath.Join(s.Dir, "mesh-root") }

func (s *Sandbox) members() []sdwan.Member {
	members := make([]sdwan.Member, 0, len(s.Clusters))
	for _, c := range s.Clusters {
		members = append(members, sdwan.Member{Cluster: c.Cluster, Kubeconfig: c.Kubeconfig()})
	}
	return members
}
