// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options says what to build from and where to.
type Options struct {
	// RepoRoot is the folder of the product's go.mod.
	RepoRoot string
	// OutDir receives all that is not a binary (images, caches, logs); RepoRoot/build/sandbox if empty.
	OutDir string
	// BinDir receives the binaries; RepoRoot/bin if empty.
	BinDir string
	// DebianMirror is where root file systems come from; DefaultDebianMirror if empty.
	DebianMirror string
	// Log is told of each step's begin, progress and end, possibly from several goroutines at once; it may be nil.
	Log func(Event)
}

// DefaultDebianMirror is Debian's content delivery network.
const DefaultDebianMirror = "http://deb.debian.org/debian"

// Image is one container image as a tar that `ctr images import` (or docker load) takes.
type Image struct {
	Name   string // as manifests name it, registry host included
	Tar    string // path
	Digest string // sha256 of the tar, hexadecimal
}

// Set names all that Build makes. All paths are absolute.
type Set struct {
	// BinDir holds what people and tests run: kubectl, istioctl, helm, etcd, kube-apiserver.
	BinDir string
	// NodeDir holds what the sandbox runs: kubeall and its links, containerd, ctr, containerd-shim-runc-v2.
	NodeDir string
	// CNIDir holds the CNI plugins: bridge, host-local, loopback.
	CNIDir string
	// Template is a containerd root with Images imported and unpacked for the overlayfs snapshotter; see CloneTemplate.
	Template string
	// IstioManifests is the folder with Istio's charts and profiles (`istioctl --manifests`, `helm install`).
	IstioManifests string
	// Images lists every image of the template.
	Images []Image
}

// Build makes what is missing or out of date and returns the whole set. On a machine that has built nothing it takes
// about 15 minutes on 2 cores and the network; when nothing has changed, under 3 seconds and no network. The error of
// a failed step names its log file.
func Build(ctx context.Context, opts Options) (Set, error) {
	b, unlock, err := newBuilder(ctx, opts)
	if err != nil {
		return Set{}, err
	}
	defer unlock()
	if err := MissingError(Missing()); err != nil {
		return Set{}, err
	}
	if err := b.materials(ctx); err != nil {
		return Set{}, err
	}
	images, err := b.images(ctx, b.imageSpecs())
	if err != nil {
		return Set{}, err
	}
	if err := b.template(ctx, images); err != nil {
		return Set{}, err
	}
	return b.set(images), nil
}

// BuildPrograms makes only the Go programs of some steps, such as "helm" and "kubernetes": what tests run that need no
// clusters. It needs neither root nor prerequisites beyond Go. The error of a name that no step has lists those there are.
func BuildPrograms(ctx context.Context, opts Options, names []string) error {
	b, unlock, err := newBuilder(ctx, opts)
	if err != nil {
		return err
	}
	defer unlock()
	targets, err := b.targetsOf(names)
	if err != nil {
		return err
	}
	for _, target := range targets {
		if err := b.do(ctx, b.goStep(target)); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) targetsOf(names []string) ([]goTarget, error) {
	byName := map[string]goTarget{}
	for _, target := range b.goTargets() {
		byName[target.name] = target
	}
	var out []goTarget
	for _, name := range names {
		target, known := byName[name]
		if !known {
			return nil, fmt.Errorf("there are no programs %q to build; there are %s", name, strings.Join(slices.Sorted(maps.Keys(byName)), ", "))
		}
		out = append(out, target)
	}
	return out, nil
}

// BuildConformanceImages makes stand-ins for the images that the conformance suite of mcs-api asks for, which a sandbox
// cannot pull: the same programs, of Debian. They are no part of the template, since nothing else needs them. It takes
// about a minute and the network; when nothing has changed, less than a second.
func BuildConformanceImages(ctx context.Context, opts Options) ([]Image, error) {
	b, unlock, err := newBuilder(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := MissingError(Missing()); err != nil {
		return nil, err
	}
	if err := b.do(ctx, b.rootfsStep(conformanceRootfs())); err != nil {
		return nil, err
	}
	return b.images(ctx, conformanceSpecs())
}

// materials makes what images are made of. Compilers use every core, so Go targets run one after the other; what
// mostly waits for the network runs beside them.
func (b *builder) materials(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for _, target := range b.goTargets() {
			if err := b.do(ctx, b.goStep(target)); err != nil {
				return err
			}
		}
		return b.do(ctx, b.istioFilesStep())
	})
	g.Go(func() error {
		if err := b.do(ctx, b.envoyStep()); err != nil {
			return err
		}
		return b.do(ctx, b.rootfsStep(debianRootfs()))
	})
	return g.Wait()
}

func (b *builder) set(images []Image) Set {
	return Set{
		BinDir:         b.bin(),
		NodeDir:        b.node(),
		CNIDir:         b.cni(),
		Template:       b.templateRoot(),
		IstioManifests: b.istioManifests(),
		Images:         images,
	}
}

// builder is one run of Build.
type builder struct {
	opts    Options
	started time.Time
}

// newBuilder fills in defaults, makes the folders and takes the lock; the caller releases it by the second result.
func newBuilder(ctx context.Context, opts Options) (*builder, func(), error) {
	if opts.RepoRoot == "" {
		return nil, nil, errors.New("RepoRoot is empty: name the folder of the product's go.mod")
	}
	root, err := filepath.Abs(opts.RepoRoot)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "sandbox", "node", "go.mod")); err != nil {
		return nil, nil, fmt.Errorf("RepoRoot %s is not this repository: %w", root, err)
	}
	opts.RepoRoot = root
	if opts.OutDir, err = absOr(opts.OutDir, root, "build", "sandbox"); err != nil {
		return nil, nil, err
	}
	if opts.BinDir, err = absOr(opts.BinDir, root, "bin"); err != nil {
		return nil, nil, err
	}
	if opts.DebianMirror == "" {
		opts.DebianMirror = DefaultDebianMirror
	}
	if opts.Log == nil {
		opts.Log = func(Event) {}
	}
	b := &builder{opts: opts, started: time.Now()}
	for _, dir := range []string{b.bin(), b.node(), b.cni(), b.out("log"), b.out("state"), b.out("images"), b.out("rootfs")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, nil, err
		}
	}
	unlock, err := lockFile(ctx, b.out("lock"))
	if err != nil {
		return nil, nil, err
	}
	return b, unlock, nil
}

func absOr(path string, fallback ...string) (string, error) {
	if path == "" {
		return filepath.Join(fallback...), nil
	}
	return filepath.Abs(path)
}

// Where things are. Programs for people are directly in bin/, the rest is out of the way of shell completion.

func (b *builder) repo(elem ...string) string {
	return filepath.Join(append([]string{b.opts.RepoRoot}, elem...)...)
}

func (b *builder) out(elem ...string) string {
	return filepath.Join(append([]string{b.opts.OutDir}, elem...)...)
}

func (b *builder) bin(elem ...string) string {
	return filepath.Join(append([]string{b.opts.BinDir}, elem...)...)
}

func (b *builder) node(elem ...string) string { return b.bin(append([]string{"node"}, elem...)...) }
func (b *builder) cni(elem ...string) string  { return b.bin(append([]string{"cni"}, elem...)...) }
func (b *builder) istioManifests() string     { return b.out("istio", "manifests") }
func (b *builder) templateRoot() string       { return b.out("template", "containerd") }
