// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"k8s.io/client-go/tools/clientcmd"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// The tunnels of the bench's two policies, and those that come last.
const (
	tunnelFirst  = "business"
	tunnelSecond = "default"
	tunnelThird  = "internet"
)

// Bench is where cases are played.
type Bench struct {
	// Consumer calls, Exporters answer; the first exporter is the one that breaks.
	Consumer  *story.Cluster
	Exporters []*story.Cluster
	// WAN is the sandbox's SD-WAN.
	WAN *story.WAN
	// StateDir is the sandbox's folder, by which its API servers are found.
	StateDir string
	Out      io.Writer

	// left is the Peer of a cluster that was left.
	left *mcw.Peer
	// allowedBefore are the congestion controls that the machine let network namespaces choose, if that was changed.
	allowedBefore []byte
}

// Say tells what happens.
func (b *Bench) Say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.Out, format+"\n", args...) // progress is for people
}

func (b *Bench) clusters() []*story.Cluster {
	return append([]*story.Cluster{b.Consumer}, b.Exporters...)
}

func (b *Bench) consumer() *story.Cluster { return b.Consumer }

// victim is the exporter that breaks.
func (b *Bench) victim() *story.Cluster { return b.Exporters[0] }

// latencies are one way: round trips of 40, 60 and 120 ms.
func latencies() map[string]string {
	return map[string]string{tunnelFirst: "20ms", tunnelSecond: "30ms", "internet": "60ms", "lte": "60ms"}
}

// calm puts every tunnel to what it is when nothing is wrong.
func (b *Bench) calm(ctx context.Context) error {
	var errs []error
	for tunnel, latency := range latencies() {
		errs = append(errs, b.WAN.Set(ctx, tunnel,
			"--state=up", "--loss=0%", "--jitter=0s", "--rate=unlimited", "--queue=200ms", "--latency="+latency))
	}
	return errors.Join(errs...)
}

// Connect opens a sandbox: its first cluster calls, the others answer.
func Connect(wan *story.WAN, kubeconfig string, out io.Writer) (*Bench, error) {
	b := &Bench{WAN: wan, StateDir: filepath.Dir(kubeconfig), Out: out}
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(config.Contexts))
	if len(names) < 2 {
		return nil, fmt.Errorf("%s has %d clusters, at least two are needed", kubeconfig, len(names))
	}
	for i, name := range names {
		c, err := story.Connect(kubeconfig, name)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			b.Consumer = c
		} else {
			b.Exporters = append(b.Exporters, c)
		}
	}
	return b, nil
}
