// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// maxClusters is how many API servers run.
const maxClusters = 3

// servers are the API servers, started once: every test begins with nothing of ours in them.
type servers struct {
	clusters []*cluster
}

// shared is what TestMain hands to the tests; nothing writes to it after that.
var shared servers

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	err := shared.start(context.Background())
	if err == nil {
		m.Run()
	}
	shared.stop()
	if err != nil {
		log.Fatal(err)
	}
}

// start starts all API servers at the same time.
func (s *servers) start(ctx context.Context) error {
	crds, err := crdPaths()
	if err != nil {
		return err
	}
	errs := make([]error, maxClusters)
	var wg sync.WaitGroup
	for i := range maxClusters {
		c := newCluster(i+1, crds)
		s.clusters = append(s.clusters, c)
		wg.Go(func() { errs[i] = c.start(ctx) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *servers) stop() {
	for _, c := range s.clusters {
		if err := c.env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping an API server:", err)
		}
	}
}

// crdPaths are our CRDs with those of the Multi-Cluster Services API, and Istio's.
func crdPaths() ([]string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api").Output()
	if err != nil {
		return nil, fmt.Errorf("finding Istio's CRDs: %w", err)
	}
	return []string{
		filepath.Join("..", "..", "manifests", "charts", "mc-wan", "crds"),
		filepath.Join(strings.TrimSpace(string(out)), "kubernetes", "customresourcedefinitions.gen.yaml"),
	}, nil
}

// serviceRanges are a cluster's ranges of ClusterIPs: the last cluster has both address families.
func serviceRanges(number int) string {
	ranges := fmt.Sprintf("10.10%d.0.0/16", number)
	if number == maxClusters {
		ranges += fmt.Sprintf(",fd00:10%d::/112", number)
	}
	return ranges
}

// environment is one API server with its etcd.
func environment(number int, crds []string) *envtest.Environment {
	env := &envtest.Environment{CRDDirectoryPaths: crds, ErrorIfCRDPathMissing: true, ControlPlaneStartTimeout: 2 * time.Minute}
	env.CRDInstallOptions.MaxTime = patience(2 * time.Minute)
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		env.BinaryAssetsDirectory = filepath.Join("..", "..", "bin")
	}
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", serviceRanges(number))
	return env
}
