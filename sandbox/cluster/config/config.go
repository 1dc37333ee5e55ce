// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/l7mp/mc-wan/sandbox/network"
)

// Input is what a cluster's configuration is made of.
type Input struct {
	Cluster network.Cluster
	// ConfigDir and PKIDir are where the rendered files and the keys are; EtcdDir is where etcd keeps its data.
	ConfigDir, PKIDir, EtcdDir string
	// CgroupRoot is the kubelet's root group, with a leading slash.
	CgroupRoot string
	// CNIBinDir holds the CNI plugins, Shim is containerd's shim, Runc is runc: absolute paths.
	CNIBinDir, Shim, Runc string
	// PauseImage is the image of a pod's sandbox.
	PauseImage string
}

// Files that others name, relative to ConfigDir.
const (
	ContainerdConfig = "containerd.toml"
	// ArgsDir holds NAME.args for every component that runs in the one Kubernetes process, a flag a line.
	ArgsDir = "args"
	// SysctlDir holds the values that the kubelet insists on. They are mounted over the kernel's files inside the
	// cluster, so that the machine's own settings stay as they are.
	SysctlDir = "sysctl"
)

// Sysctls are the settings mounted over /proc/sys inside the cluster (kubelet's kernel.Validate, ProtectKernelDefaults
// or not, wants exactly these).
func Sysctls() map[string]string {
	return map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0",
		"kernel/panic": "10", "kernel/panic_on_oops": "1",
	}
}

//go:embed all:templates
var templates embed.FS

// podRange is what pods get their addresses of one family from.
type podRange struct {
	Subnet               netip.Prefix
	First, Last, Gateway netip.Addr
}

func podRanges(c network.Cluster) []podRange {
	var out []podRange
	for _, f := range c.Families() {
		first, last := f.PodRange()
		out = append(out, podRange{Subnet: f.Pods, First: first, Last: last, Gateway: f.Gateway})
	}
	return out
}

// Render returns the content of every configuration file, by path relative to ConfigDir.
func Render(in Input) (map[string][]byte, error) {
	data := struct {
		Input
		PodRanges    []podRange
		Bridge       string
		MTU, APIPort int
	}{in, podRanges(in.Cluster), network.BridgeLink, network.MTU, network.APIPort}
	files := map[string][]byte{}
	for name, value := range Sysctls() {
		files[path.Join(SysctlDir, strings.ReplaceAll(name, "/", "."))] = []byte(value + "\n")
	}
	err := fs.WalkDir(templates, "templates", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := templates.ReadFile(p)
		if err != nil {
			return err
		}
		t, err := template.New(p).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, data); err != nil {
			return err
		}
		rel, err := filepath.Rel("templates", strings.TrimSuffix(p, ".tmpl"))
		files[rel] = out.Bytes()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", in.Cluster.Name, err)
	}
	return files, nil
}
