// SPDX-License-Identifier: Apache-2.0

package sdwan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/wan"
	"github.com/l7mp/mc-wan/sandbox/wanclass"
)

// SDWAN is the SD-WAN of one sandbox.
type SDWAN struct {
	// Dir is its folder, Group its control group.
	Dir    string
	Group  string
	Groups *cgroup.Tree
}

// Member is a cluster to join.
type Member struct {
	network.Cluster
	// Kubeconfig is where the cluster's WANPolicies are read with.
	Kubeconfig string
}

// Config is what the process starts from, in a JSON file.
type Config struct {
	WAN wan.Config `json:"wan"`
	// Kubeconfigs are by cluster name.
	Kubeconfigs map[string]string `json:"kubeconfigs"`
	// SortedFile keeps the classes across restarts.
	SortedFile string `json:"sortedFile"`
	// CgroupFiles are the cgroup.procs files to join by.
	CgroupFiles []string `json:"cgroupFiles"`
}

// New describes the SD-WAN of a sandbox.
func New(sandboxDir, sandboxGroup string, groups *cgroup.Tree) *SDWAN {
	return &SDWAN{Dir: filepath.Join(sandboxDir, "wan"), Group: path.Join(sandboxGroup, "wan"), Groups: groups}
}

// Socket is the control socket, for wan.NewClient.
func (s *SDWAN) Socket() string { return filepath.Join(s.Dir, "control.sock") }

// Log is the process' log file.
func (s *SDWAN) Log() string { return filepath.Join(s.Dir, "wan.log") }

func (s *SDWAN) configFile() string  { return filepath.Join(s.Dir, "config.json") }
func (s *SDWAN) processFile() string { return filepath.Join(s.Dir, "process.json") }
func (s *SDWAN) sortedFile() string  { return filepath.Join(s.Dir, "classes.json") }

func (s *SDWAN) config(members []Member) Config {
	c := Config{
		WAN: wan.Config{ControlSocket: s.Socket()}, Kubeconfigs: map[string]string{},
		SortedFile: s.sortedFile(), CgroupFiles: s.Groups.ProcsFiles(s.Group),
	}
	for _, m := range members {
		c.WAN.Sites = append(c.WAN.Sites, wan.Site{
			Name: m.Name, NetnsPath: m.NamespacePath(), Device: network.WANLink, PodCIDRs: []netip.Prefix{m.Pods, m.IPv6.Pods},
		})
		c.Kubeconfigs[m.Name] = m.Kubeconfig
	}
	return c
}

// Problems says in which way the clusters' WANPolicies cannot be followed, in words for a person.
func (s *SDWAN) Problems() ([]string, error) {
	last, err := readSorted(s.sortedFile())
	return last.Plan.Problems, err
}

// sorted is what the classes were made of last, and the classes.
type sorted struct {
	Policies []wanclass.Policy `json:"policies"`
	Plan     wanclass.Plan     `json:"plan"`
}

// readSorted reads the classes that were in force last; none when there is no file.
func readSorted(file string) (sorted, error) {
	var last sorted
	if err := readJSON(file, &last); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sorted{}, err
	}
	return last, nil
}

func readJSON(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
