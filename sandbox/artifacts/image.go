// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageSpec says what an image consists of.
type imageSpec struct {
	name       string
	base       string // on top of the root file system of this name; of nothing if empty
	files      []from // on top of that
	entrypoint []string
	user       string // uid:gid, root if empty
}

// from is a file that a step made, or a link.
type from struct {
	step string // that made it; empty for a link
	file file   // with source set, or link
}

// imageSpecs lists every image of the sandbox.
func (b *builder) imageSpecs() []imageSpec {
	program := func(step, source, path string) []from {
		return []from{{step, file{path: path, source: source}}}
	}
	istio := func(program string) from {
		return from{"istio", file{path: "/usr/local/bin/" + program, source: b.node(program)}}
	}
	specs := []imageSpec{
		{name: PauseImage, files: program("containerd", b.node("pause"), "/pause"), entrypoint: []string{"/pause"}, user: "65534:65534"},
		{name: CoreDNSImage, files: program("kubernetes", b.node("coredns"), "/coredns"), entrypoint: []string{"/coredns"}},
		{
			name: PilotImage, base: debianName, files: []from{istio("pilot-discovery")},
			entrypoint: []string{"/usr/local/bin/pilot-discovery"}, user: "1337:1337",
		},
		{
			name: ProxyImage, base: debianName, entrypoint: []string{"/usr/local/bin/pilot-agent"},
			files: []from{
				istio("pilot-agent"),
				{"envoy", file{path: "/usr/local/bin/envoy", source: b.envoy()}},
				// pilot-agent fills it in; the path is its default
				{"istio-files", file{path: "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json", source: b.envoyBootstrap(), mode: 0o644}},
			},
		},
		{
			name: ClientImage, base: debianName, files: []from{
				{"apps", file{path: "/usr/local/bin/vegeta", source: b.node("vegeta")}},
				{"apps", file{path: "/usr/local/bin/call", source: b.node("call")}},
				{"apps", file{path: "/usr/local/bin/load", source: b.node("load")}},
			},
			// Waits until it is told to end: people and tests exec into it.
			entrypoint: []string{"/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"},
		},
		{
			name: EchoImage, files: program("apps", b.node("echo"), "/echo"),
			entrypoint: []string{"/echo"}, user: "65532:65532",
		},
	}
	if _, err := os.Stat(b.repo("cmd", "mcwan-controller")); err == nil {
		specs = append(specs, imageSpec{
			name: ControllerImage, files: program("controller", b.node("mcwan-controller"), "/mcwan-controller"),
			entrypoint: []string{"/mcwan-controller"}, user: "65532:65532",
		})
	}
	return specs
}

// conformanceSpecs lists the stand-ins for images of the conformance suite, which says what to run in them. Debian's awk
// is a link of its alternatives system, which has not run.
func conformanceSpecs() []imageSpec {
	awk := []from{{"", file{path: "/usr/bin/awk", link: "mawk"}}}
	return []imageSpec{
		{name: SocatImage, base: conformanceName, files: awk, entrypoint: []string{"/usr/bin/socat"}},
		{name: NetshootImage, base: conformanceName, files: awk},
	}
}

// images makes the tars of the given images.
func (b *builder) images(ctx context.Context, specs []imageSpec) ([]Image, error) {
	bases := map[string]*debian{} // each made once, and only if an image on it is out of date
	var list []Image
	for _, spec := range specs {
		out := b.out("images", tarName(spec.name))
		s := step{
			name: "image-" + strings.TrimSuffix(tarName(spec.name), ".tar"), detail: "packing " + spec.name,
			key:     func() (string, error) { return b.imageKey(spec) },
			outputs: []string{out},
			run: func(context.Context, *stepLog) error {
				if spec.base != "" && bases[spec.base] == nil {
					d, err := b.openDebian(spec.base)
					if err != nil {
						return err
					}
					bases[spec.base] = &d
				}
				return spec.write(bases[spec.base], out)
			},
		}
		if err := b.do(ctx, s); err != nil {
			return nil, err
		}
		digest, err := b.digestOf(s.name, out)
		if err != nil {
			return nil, err
		}
		list = append(list, Image{Name: spec.name, Tar: out, Digest: digest})
	}
	return list, nil
}

// layerFormat is part of every image's key: raise it when layers are made differently of the same inputs.
const layerFormat = "1"

func (b *builder) imageKey(spec imageSpec) (string, error) {
	k := newKey("image", layerFormat, spec.name, spec.user, runtime.GOARCH)
	k.add(spec.entrypoint...)
	if spec.base != "" {
		digest, err := b.digestOf("rootfs-"+spec.base, b.rootfsTar(spec.base))
		if err != nil {
			return "", err
		}
		k.add("base", digest)
	}
	for _, f := range spec.files {
		content := f.file.link
		if f.step != "" {
			digest, err := b.digestOf(f.step, f.file.source)
			if err != nil {
				return "", err
			}
			content = digest
		}
		k.add(f.file.path, fmt.Sprintf("%o", f.file.mode), content)
	}
	return k.sum(), nil
}

func (b *builder) openDebian(rootfs string) (debian, error) {
	f, err := os.Open(b.rootfsTar(rootfs))
	if err != nil {
		return debian{}, err
	}
	defer closeRead(f)
	return readDebian(f)
}

// write makes the image and its tar; base is nil for images without one.
func (s imageSpec) write(base *debian, out string) error {
	img, err := s.image(base)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(s.name)
	if err != nil {
		return err
	}
	tmp := out + ".tmp"
	if err := tarball.WriteToFile(tmp, tag, img); err != nil {
		return err
	}
	return os.Rename(tmp, out)
}

// image stacks the layers: the root file system, what its scripts would have made (both the same in all images that
// have them), and the image's own files.
func (s imageSpec) image(base *debian) (v1.Image, error) {
	var layers []v1.Layer
	common := accounts()
	if s.base != "" {
		layers, common = []v1.Layer{base.layer}, debianFixups(base.caCert)
	}
	own := make([]file, 0, len(s.files))
	for _, f := range s.files {
		own = append(own, f.file)
	}
	for _, files := range [][]file{common, own} {
		layer, err := filesLayer(files)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.DockerManifestSchema2), layers...)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		Entrypoint: s.entrypoint, User: s.user,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	return mutate.ConfigFile(img, config)
}

// tarName is the file name of an image's tar.
func tarName(image string) string {
	return strings.NewReplacer("/", "_", ":", "_").Replace(image) + ".tar"
}
