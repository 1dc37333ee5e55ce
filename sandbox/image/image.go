// SPDX-License-Identifier: Apache-2.0

// Package image keeps the container images of a running cluster the same as those that were built: a cluster starts
// with all of them, and images that were built anew since are imported and their pods replaced.
package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/state"
	"github.com/l7mp/mc-wan/sandbox/tool"
)

// recordFile remembers inside a containerd root which build of each image it has.
const recordFile = "mcwan-images.json"

// Record writes down that a containerd root has these images.
func Record(root string, images []artifacts.Image) error {
	have := map[string]string{}
	for _, i := range images {
		have[i.Name] = i.Digest
	}
	data, err := json.MarshalIndent(have, "", "  ")
	if err != nil {
		return err
	}
	return state.WriteFile(filepath.Join(root, recordFile), data, 0o600)
}

// Store is the images of one cluster.
type Store struct {
	// Root is containerd's folder, Socket its socket, Ctr the path of containerd's own client.
	Root, Socket, Ctr string
}

// Outdated returns those images that the cluster lacks or has another build of.
func (s Store) Outdated(images []artifacts.Image) ([]artifacts.Image, error) {
	have := map[string]string{}
	data, err := os.ReadFile(filepath.Join(s.Root, recordFile))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &have); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(s.Root, recordFile), err)
	}
	var out []artifacts.Image
	for _, i := range images {
		if have[i.Name] != i.Digest {
			out = append(out, i)
		}
	}
	return out, nil
}

// Import brings images into the cluster; pods that are started from now on use them. Output goes to log.
func (s Store) Import(ctx context.Context, images []artifacts.Image, log io.Writer) error {
	for _, i := range images {
		if err := tool.Run(ctx, log, s.Ctr, "--address", s.Socket, "--namespace", "k8s.io", "images", "import", i.Tar); err != nil {
			return fmt.Errorf("import image %s: %w", i.Name, err)
		}
	}
	return nil
}
