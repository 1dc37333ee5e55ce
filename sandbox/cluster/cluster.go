// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"path"
	"path/filepath"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/image"
	"github.com/l7mp/mc-wan/sandbox/initd"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/pki"
)

// GroupRoot is the control group that holds all sandboxes of the machine.
const GroupRoot = "mcwan-sandbox"

// Cluster is one cluster and where it lives.
type Cluster struct {
	network.Cluster
	// Sandbox is the sandbox's name, Dir the cluster's own folder.
	Sandbox string
	Dir     string
	// Artifacts are the binaries and images it is started from.
	Artifacts artifacts.Set
	// GOGC is that of the control plane, in percent.
	GOGC int
	// Groups are the machine's control groups.
	Groups *cgroup.Tree
}

// group is the control group of the cluster's pods, systemGroup that of what runs them, beside those of the other clusters.
func (c *Cluster) group() string       { return path.Join(GroupRoot, c.Sandbox, c.Name) }
func (c *Cluster) systemGroup() string { return path.Join(c.systems(), c.Name) }
func (c *Cluster) systems() string     { return path.Join(GroupRoot, c.Sandbox, "systems") }

// groups are all of them.
func (c *Cluster) groups() []string { return []string{c.systemGroup(), c.group()} }

// PKIDir holds the cluster's keys.
func (c *Cluster) PKIDir() string { return filepath.Join(c.Dir, "pki") }

// Kubeconfig is the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.PKIDir(), pki.AdminKubeconfig) }

// Images are the images of the running cluster, reached through the machine's view of containerd's socket.
func (c *Cluster) Images() image.Store {
	return image.Store{Root: c.imageRoot(), Socket: filepath.Join(c.view("run"), "containerd", "containerd.sock"), Ctr: c.program("ctr")}
}

func (c *Cluster) imageRoot() string { return filepath.Join(c.view("var/lib"), "containerd") }

// Names of logs, for Log.
const (
	// KubernetesLog is that of etcd and all Kubernetes components, which are one process.
	KubernetesLog = "kubernetes"
	// ContainerdLog is containerd's, InitLog that of process 1.
	ContainerdLog = "containerd"
	InitLog       = "init"
)

// Log is the file of a log by name.
func (c *Cluster) Log(name string) string { return filepath.Join(c.Dir, "log", name+".log") }

// LogNames are the cluster's own logs.
func LogNames() []string { return []string{KubernetesLog, ContainerdLog, InitLog} }

// Components are the programs whose log KubernetesLog is.
func Components() []string {
	return []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"}
}

func (c *Cluster) configDir() string          { return filepath.Join(c.Dir, "config") }
func (c *Cluster) specFile() string           { return filepath.Join(c.configDir(), "init.json") }
func (c *Cluster) processFile() string        { return filepath.Join(c.Dir, "process.json") }
func (c *Cluster) program(name string) string { return filepath.Join(c.Artifacts.NodeDir, name) }

// view is the folder that stands for a folder of the root inside the cluster, as in view("var/lib").
func (c *Cluster) view(dir string) string { return filepath.Join(c.Dir, "root", dir) }

// views are the folders that a cluster has for itself.
func views() []string { return []string{"var/lib", "var/log", "run"} }

func (c *Cluster) programs() []initd.Program {
	env := []string{"PATH=" + c.Artifacts.NodeDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	return []initd.Program{
		{
			Name: ContainerdLog, Log: c.Log(ContainerdLog), Env: env,
			Argv: []string{c.program("containerd"), "--config", filepath.Join(c.configDir(), "containerd.toml"), "--log-level", "info"},
		},
		{
			Name: KubernetesLog, Log: c.Log(KubernetesLog), Env: append(env, fmt.Sprintf("GOGC=%d", c.GOGC)),
			Argv: []string{c.program("kubeall"), "all", filepath.Join(c.configDir(), "args")},
		},
	}
}
