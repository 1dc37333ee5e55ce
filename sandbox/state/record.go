// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Record is what was asked of one sandbox. It is written before anything is built, so that a sandbox whose
// creation was cut short can be healed or removed.
type Record struct {
	// Name of the sandbox, as given to --name.
	Name string `json:"name"`
	// Slot selects the sandbox's addresses; no two sandboxes of one machine share it.
	Slot int `json:"slot"`
	// Clusters is the number of clusters, named cluster-1 to cluster-N.
	Clusters int `json:"clusters"`
	// Istio says whether istiod is installed in every cluster.
	Istio bool `json:"istio"`
	// Addon says whether mc-wan is installed in every cluster and the clusters are joined. It needs Istio.
	Addon bool `json:"addon"`
	// Replicas is the number of pods of each east-west gateway.
	Replicas int `json:"replicas"`
	// GOGC is that of the control planes of clusters that are started.
	GOGC int `json:"gogc"`
	// Created is when the sandbox was first asked for.
	Created time.Time `json:"created"`
}

// DefaultGOGC makes control planes smaller for a little more work: three quarters of an idle cluster is that process.
const DefaultGOGC = 50

// MaxClusters is the number of clusters one sandbox has addresses for.
const MaxClusters = 15

// namePattern keeps names usable in file names, cgroups, network namespaces ("NAME.cluster-N") and PKI subjects.
var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`)

// ValidateName says what is wrong with a sandbox's name.
func ValidateName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("sandbox name %q: want 1 to 20 of a-z, 0-9 and '-', starting with a letter and not ending in '-'", name)
	}
	return nil
}

// Validate says which field cannot be built and what would be accepted.
func (r *Record) Validate() error {
	if err := ValidateName(r.Name); err != nil {
		return err
	}
	if r.Clusters < 1 || r.Clusters > MaxClusters {
		return fmt.Errorf("clusters %d: want 1 to %d", r.Clusters, MaxClusters)
	}
	if r.Replicas < 1 || r.Replicas > 5 {
		return fmt.Errorf("replicas %d: want 1 to 5 pods of each gateway", r.Replicas)
	}
	if r.GOGC < 10 || r.GOGC > 1000 {
		return fmt.Errorf("gogc %d: want 10 to 1000 percent", r.GOGC)
	}
	if r.Addon && !r.Istio {
		return errors.New("the add-on needs istio: drop --no-istio, or add --no-addon")
	}
	return nil
}

func readRecord(dir string) (*Record, error) {
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return nil, err
	}
	r := &Record{GOGC: DefaultGOGC} // records of earlier versions have none
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, recordFile), err)
	}
	return r, nil
}

func writeRecord(dir string, r *Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, recordFile), append(data, '\n'), 0o600)
}

// WriteFile replaces a file as a whole, so that a crash leaves the old or the new content and never a part.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // after the rename there is nothing to remove
	if _, err := tmp.Write(data); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Chmod(perm), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
