// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cluster/config"
	"github.com/l7mp/mc-wan/sandbox/initd"
	"github.com/l7mp/mc-wan/sandbox/state"
)

// prepare writes the cluster's folder and says whether anything in it differs from what the cluster was booted with.
func (c *Cluster) prepare() (changed bool, err error) {
	for _, dir := range append([]string{"log", "etcd"}, prefixed("root/", views())...) {
		// etcd insists on 0700; nobody else needs more
		if err := os.MkdirAll(filepath.Join(c.Dir, dir), 0o700); err != nil {
			return false, err
		}
	}
	files, err := c.files()
	if err != nil {
		return false, err
	}
	for name, data := range files {
		file := filepath.Join(c.configDir(), name)
		if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
			continue
		}
		changed = true
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return false, err
		}
		if err := state.WriteFile(file, data, 0o600); err != nil {
			return false, err
		}
	}
	return changed, nil
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

// files are all of the cluster's configuration. The programs' versions are among them, so that new binaries are a
// change like any other.
func (c *Cluster) files() (map[string][]byte, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return nil, fmt.Errorf("runc: %w; apt-get install runc", err)
	}
	files, err := config.Render(config.Input{
		Cluster: c.Cluster, ConfigDir: c.configDir(), PKIDir: c.PKIDir(), EtcdDir: filepath.Join(c.Dir, "etcd"),
		CgroupRoot: "/" + c.group(), CNIBinDir: c.Artifacts.CNIDir, Shim: c.program("containerd-shim-runc-v2"), Runc: runc,
		PauseImage: artifacts.PauseImage,
	})
	if err != nil {
		return nil, err
	}
	if files["init.json"], err = json.MarshalIndent(c.spec(), "", "  "); err != nil {
		return nil, err
	}
	files["versions"], err = c.versions()
	return files, err
}

// versions tells builds of the programs apart without reading them.
func (c *Cluster) versions() ([]byte, error) {
	var out bytes.Buffer
	for _, p := range []string{"kubeall", "containerd", "containerd-shim-runc-v2"} {
		info, err := os.Stat(c.program(p))
		if err != nil {
			return nil, fmt.Errorf("%w; build it with mcwan-sandbox build", err)
		}
		fmt.Fprintf(&out, "%s %d %s\n", p, info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
	}
	return out.Bytes(), nil
}

func (c *Cluster) spec() initd.Spec {
	s := initd.Spec{
		Hostname:    c.Name,
		CgroupFiles: c.Groups.ProcsFiles(c.systemGroup()),
		Keep:        []string{c.Dir, c.Artifacts.NodeDir, c.Artifacts.CNIDir},
		Programs:    c.programs(),
	}
	for _, v := range views() {
		s.Mounts = append(s.Mounts, initd.Mount{From: c.view(v), To: "/" + v})
	}
	for _, key := range slices.Sorted(maps.Keys(config.Sysctls())) {
		from := filepath.Join(c.configDir(), config.SysctlDir, strings.ReplaceAll(key, "/", "."))
		s.Mounts = append(s.Mounts, initd.Mount{From: from, To: path.Join("/proc/sys", key)})
	}
	return s
}

// resetRuntime clears what a node loses when it is turned off.
func (c *Cluster) resetRuntime() error {
	entries, err := os.ReadDir(c.view("run"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(c.view("run"), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// rotateLogs keeps the logs of the boot before this one as NAME.log.1.
func (c *Cluster) rotateLogs() error {
	for _, name := range LogNames() {
		err := os.Rename(c.Log(name), c.Log(name)+".1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
