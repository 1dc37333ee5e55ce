// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"os"
	"strings"
)

// goTarget is a group of programs of one Go module, built as one step.
type goTarget struct {
	name   string // of the step
	detail string
	module string   // folder of the go.mod, below the repository
	trees  []string // folders of the module whose files are inputs, besides go.mod and go.sum
	builds []goBuild
	links  map[string]string // path of a symbolic link -> path it points to
}

// goBuild is one run of `go build`.
type goBuild struct {
	dir      string   // where the programs go, each named as its package
	packages []string // as in go build
	rename   string   // other name of the program, where there is one package
	tags     string
	ldflags  []string
}

// goTargets lists every Go program of the sandbox.
//
// CGO_ENABLED=0 everywhere: programs run in images without a libc, and compiled packages are shared by all modules.
// -s -w halve the binaries, which every cluster keeps in page cache.
func (b *builder) goTargets() []goTarget {
	targets := []goTarget{b.containerdTarget(), b.kubernetesTarget(), b.istioTarget(), b.helmTarget(), b.appsTarget()}
	if _, err := os.Stat(b.repo("cmd", "mcwan-controller")); err == nil {
		targets = append(targets, b.controllerTarget())
	}
	return targets
}

// containerdTarget leaves out snapshotters that need C libraries or kernel modules; the shim speaks ttrpc only, which
// saves some MB for each pod.
func (b *builder) containerdTarget() goTarget {
	return goTarget{
		name: "containerd", detail: "containerd, its shim, CNI plugins", module: "sandbox/containerd", trees: []string{"ctd", "pause"},
		builds: []goBuild{
			{dir: b.node(), packages: []string{"./ctd"}, rename: "containerd", tags: "no_btrfs no_devmapper no_zfs"},
			{dir: b.node(), packages: []string{"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"}, tags: "no_grpc"},
			{dir: b.node(), packages: []string{"./pause"}},
			{dir: b.cni(), packages: []string{
				"github.com/containernetworking/plugins/plugins/main/bridge",
				"github.com/containernetworking/plugins/plugins/main/loopback",
				"github.com/containernetworking/plugins/plugins/ipam/host-local",
			}},
		},
		links: map[string]string{b.node("ctr"): b.node("containerd")},
	}
}

// kubernetesTarget says the version by the linker as the release does: without it, clients see v0.0.0-master and
// refuse the skew. The date is fixed so that the binary depends on nothing but its sources.
func (b *builder) kubernetesTarget() goTarget {
	const v = "k8s.io/component-base/version."
	major, minor, _ := strings.Cut(strings.TrimPrefix(KubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	flags := []string{
		"-X " + v + "gitVersion=" + KubernetesVersion, "-X " + v + "gitMajor=" + major, "-X " + v + "gitMinor=" + minor,
		"-X " + v + "gitTreeState=clean", "-X " + v + "gitCommit=0", "-X " + v + "buildDate=2026-01-01T00:00:00Z",
	}
	return goTarget{
		name: "kubernetes", detail: "etcd, Kubernetes, kubectl, CoreDNS", module: "sandbox/node", trees: []string{"kubeall", "coredns", "internal"},
		builds: []goBuild{{dir: b.node(), packages: []string{"./kubeall", "./coredns"}, ldflags: flags}},
		links: map[string]string{
			b.bin("kubectl"):        b.node("kubeall"),
			b.bin("etcd"):           b.node("kubeall"), // etcd and kube-apiserver are what envtest looks for
			b.bin("kube-apiserver"): b.node("kubeall"),
		},
	}
}

// istioTarget says the release, hub and tag by the linker as Istio's own build does: istioctl installs that hub and
// tag unless told otherwise.
func (b *builder) istioTarget() goTarget {
	const v = "istio.io/istio/pkg/version."
	return goTarget{
		name: "istio", detail: "istioctl, istiod, pilot-agent", module: "sandbox/node",
		builds: []goBuild{{dir: b.node(), packages: []string{
			"istio.io/istio/istioctl/cmd/istioctl",
			"istio.io/istio/pilot/cmd/pilot-agent",
			"istio.io/istio/pilot/cmd/pilot-discovery",
		}, ldflags: []string{
			"-X " + v + "buildVersion=" + IstioVersion, "-X " + v + "buildGitRevision=" + IstioVersion,
			"-X " + v + "buildStatus=Clean", "-X " + v + "buildTag=" + IstioTag, "-X " + v + "buildHub=" + IstioHub,
		}}},
		links: map[string]string{b.bin("istioctl"): b.node("istioctl")},
	}
}

func (b *builder) helmTarget() goTarget {
	return goTarget{
		name: "helm", detail: "helm", module: "sandbox/node",
		builds: []goBuild{{dir: b.node(), packages: []string{"helm.sh/helm/v4/cmd/helm"}}},
		links:  map[string]string{b.bin("helm"): b.node("helm")},
	}
}

func (b *builder) appsTarget() goTarget {
	return goTarget{
		name: "apps", detail: "test backend and client, load generator", module: "sandbox/apps", trees: []string{"echo", "call", "load", "wire"},
		builds: []goBuild{
			{dir: b.node(), packages: []string{"./echo", "./call", "./load"}},
			{dir: b.node(), packages: []string{"github.com/tsenart/vegeta/v12"}, rename: "vegeta"},
		},
	}
}

// controllerTarget builds a copy of its own: bin/mcwan-controller, which `make build` writes, says a version that
// changes with every commit and would renew the image each time.
func (b *builder) controllerTarget() goTarget {
	return goTarget{
		name: "controller", detail: "the product's controller", module: ".", trees: []string{"api", "cmd", "pkg", "manifests"},
		builds: []goBuild{{dir: b.node(), packages: []string{"./cmd/mcwan-controller"}}},
	}
}
