// SPDX-License-Identifier: Apache-2.0

package initd

import (
	"encoding/json"
	"fmt"
	"os"
)

// Spec is all that process 1 is told, in a JSON file.
type Spec struct {
	Hostname string `json:"hostname"`
	// CgroupFiles are the cgroup.procs files to join by.
	CgroupFiles []string `json:"cgroupFiles"`
	// Mounts are bind mounts of the cluster's own folders and files over the machine's.
	Mounts []Mount `json:"mounts"`
	// Keep are folders that stay visible at their own path where a mount would hide them.
	Keep []string `json:"keep"`
	// Programs are started in this order and restarted when they end.
	Programs []Program `json:"programs"`
}

// Mount puts From over To.
type Mount struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Program is one supervised process.
type Program struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	// Log receives standard output and standard error, across restarts.
	Log string `json:"log"`
}

// ReadSpec reads a Spec from a file.
func ReadSpec(path string) (*Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Spec{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
