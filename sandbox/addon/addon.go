// SPDX-License-Identifier: Apache-2.0

package addon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/fingerprint"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/mesh"
	"github.com/l7mp/mc-wan/sandbox/state"
	"github.com/l7mp/mc-wan/sandbox/tool"
)

// Namespace and release name of the add-on.
const (
	Namespace = "mc-wan"
	release   = "mc-wan"
)

// Deployments are the add-on's own.
func Deployments() []string { return []string{"mcw-controller", "mcw-egress", "mcw-ingress"} }

// Addon is mc-wan in one cluster.
type Addon struct {
	Cluster *cluster.Cluster
	// Chart is the folder of the Helm chart.
	Chart string
	// Replicas is the number of pods of each gateway.
	Replicas int
	// Log receives helm's output.
	Log io.Writer
}

// Values are the chart's values for this cluster, as YAML.
func (a *Addon) Values() ([]byte, error) {
	repository, tag, ok := strings.Cut(artifacts.ControllerImage, ":")
	if !ok {
		return nil, fmt.Errorf("image %s has no tag", artifacts.ControllerImage)
	}
	return yaml.Marshal(map[string]any{
		"clusterID":   a.Cluster.Name,
		"trustDomain": mesh.TrustDomain(a.Cluster.Index),
		"image":       map[string]any{"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
		"gateways": map[string]any{
			"replicas": a.Replicas, "pullPolicy": "IfNotPresent",
			"ingress": map[string]any{"service": map[string]any{"ipFamilyPolicy": "PreferDualStack"}},
		},
	})
}

// Install runs helm unless the same chart with the same values is installed already, and returns when all of it is
// available.
func (a *Addon) Install(ctx context.Context, client *kube.Client) error {
	values, err := a.Values()
	if err != nil {
		return err
	}
	file := filepath.Join(a.Cluster.Dir, "config", "mc-wan-values.yaml")
	if err := state.WriteFile(file, values, 0o600); err != nil {
		return err
	}
	print, err := fingerprint.Of(fingerprint.Bytes(values), fingerprint.Tree(a.Chart))
	if err != nil {
		return err
	}
	mark := fingerprint.Mark{File: filepath.Join(a.Cluster.Dir, "addon.installed")}
	installed, err := client.HasDeployment(ctx, Namespace, Deployments()[0])
	if err != nil {
		return err
	}
	if !installed || !mark.Is(print) {
		if err := a.run(ctx, client, file); err != nil {
			return err
		}
		if err := mark.Set(print); err != nil {
			return err
		}
	}
	for _, d := range Deployments() {
		if err := client.WaitDeployment(ctx, Namespace, d); err != nil {
			return err
		}
	}
	return nil
}

func (a *Addon) run(ctx context.Context, client *kube.Client, values string) error {
	kinds, err := chartKinds(a.Chart)
	if err != nil {
		return err
	}
	// helm installs the kinds of a chart once and never renews them
	if err := client.Apply(ctx, kinds); err != nil {
		return err
	}
	if err := forgetUnfinished(ctx, client); err != nil {
		return err
	}
	return tool.Run(ctx, a.Log, filepath.Join(a.Cluster.Artifacts.BinDir, "helm"), "--kubeconfig", a.Cluster.Kubeconfig(),
		"upgrade", "--install", release, a.Chart, "--namespace", Namespace, "--create-namespace", "--values", values, "--wait", "--timeout", "10m")
}

// unfinished are helm's records of operations on the release that have begun and not ended.
const unfinished = "owner=helm,name=" + release + ",status in (pending-install, pending-upgrade, pending-rollback)"

// forgetUnfinished removes them: a sandbox is changed by one process at a time, so whoever began has been killed, and helm
// refuses to do anything while such a record stands. What was written of the release is taken over by the next one.
func forgetUnfinished(ctx context.Context, client *kube.Client) error {
	err := client.Typed.CoreV1().Secrets(Namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: unfinished})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("helm's unfinished operations on %s: %w", release, err)
	}
	return nil
}

// chartKinds are the chart's CustomResourceDefinitions as one YAML stream.
func chartKinds(chart string) ([]byte, error) {
	entries, err := os.ReadDir(filepath.Join(chart, "crds"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var docs [][]byte
	for _, e := range entries {
		if e.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(e.Name())) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(chart, "crds", e.Name()))
		if err != nil {
			return nil, err
		}
		docs = append(docs, data)
	}
	return bytes.Join(docs, []byte("\n---\n")), nil
}

// cardTime bounds how long a controller that is ready takes to publish its cluster's card.
const cardTime = 30 * time.Second

// WaitCard waits until a cluster has published its card, which it is joined by.
func WaitCard(ctx context.Context, log io.Writer, mcwanctl, kubeconfig, cluster string) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, cardTime, true, func(ctx context.Context) (bool, error) {
		last = tool.Run(ctx, log, mcwanctl, "--kubeconfig", kubeconfig, "--context", cluster, "card")
		return last == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// Join makes two clusters peers of each other.
func Join(ctx context.Context, log io.Writer, mcwanctl, kubeconfig, cluster, peer string) error {
	return tool.Run(ctx, log, mcwanctl, "--kubeconfig", kubeconfig, "--context", cluster, "join", peer)
}
