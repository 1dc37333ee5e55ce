// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/l7mp/mc-wan/sandbox/image"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/process"
)

// ErrEnded says that the cluster's process 1 ended while it was waited for.
var ErrEnded = errors.New("process 1 of the cluster ended")

// Boot starts the cluster unless it runs already with the same configuration and binaries in its network namespace, and
// returns when its API server is ready. It says whether it had to start it. Its keys and its network must be there.
func (c *Cluster) Boot(ctx context.Context) (started bool, err error) {
	changed, err := c.prepare()
	if err != nil {
		return false, err
	}
	if !changed && c.Running() && c.inPlace() {
		err := c.waitAPI(ctx, c.watchEnd(ctx))
		if !errors.Is(err, ErrEnded) {
			return false, err
		}
		// it was dying when it was looked at
	}
	ended, err := c.restart(ctx)
	if err != nil {
		return false, err
	}
	return true, c.waitAPI(ctx, ended)
}

// inPlace says whether process 1 is in the network namespace that has the cluster's name now; somebody may have deleted
// that, and the namespace lives on without its name as long as its processes do.
func (c *Cluster) inPlace() bool {
	id, err := process.Read(c.processFile())
	if err != nil {
		return false
	}
	has, err1 := os.Stat(fmt.Sprintf("/proc/%d/ns/net", id.PID))
	named, err2 := os.Stat(c.NamespacePath())
	return err1 == nil && err2 == nil && os.SameFile(has, named)
}

// watchEnd returns a channel that is closed when a process 1 that another run started ends, or ctx does.
func (c *Cluster) watchEnd(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) { // fails when ctx ends
			return !c.Running(), nil
		})
	}()
	return ended
}

func (c *Cluster) restart(ctx context.Context) (<-chan struct{}, error) {
	// also when process 1 is gone: what is in its group may be the remains of a boot that was cut short
	if err := c.Stop(ctx); err != nil {
		return nil, err
	}
	if err := c.resetRuntime(); err != nil {
		return nil, err
	}
	if err := c.provideImages(); err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	return c.start()
}

// provideImages gives a new cluster its containerd root. The copy is made beside its place and moved, so that a crash
// in the middle does not leave half of one.
func (c *Cluster) provideImages() error {
	root := c.imageRoot()
	if _, err := os.Stat(root); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := root + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := c.Artifacts.CloneTemplate(tmp); err != nil {
		return fmt.Errorf("%w (or keep sandboxes elsewhere, with --state-dir)", err)
	}
	if err := image.Record(tmp, c.Artifacts.Images); err != nil {
		return err
	}
	return os.Rename(tmp, root)
}

func (c *Cluster) waitAPI(ctx context.Context, ended <-chan struct{}) error {
	client, err := kube.New(c.Kubeconfig())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ended: // which ctx may have caused; then it has a cause already
			cancel(fmt.Errorf("%w; read %s", ErrEnded, c.Log(InitLog)))
		case <-ctx.Done():
		}
	}()
	if err := client.WaitReady(ctx); err != nil {
		return fmt.Errorf("API server at %s: %w", c.APIServer(), err)
	}
	return nil
}
