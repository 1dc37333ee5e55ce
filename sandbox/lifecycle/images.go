// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/image"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/progress"
)

// ToolsLog is the log of the programs that install things into a cluster: istioctl, helm, mcwanctl, ctr.
const ToolsLog = "tools"

// importExtra brings images that are no part of the template into every cluster. Doing it again, with the same images,
// changes nothing.
func (m *Manager) importExtra(ctx context.Context, s *Sandbox) error {
	if m.Extra == nil {
		return nil
	}
	images, err := m.Extra(ctx)
	if err != nil {
		return err
	}
	for _, c := range s.Clusters {
		what := "images imported: " + strings.Join(imageNames(images), ", ")
		err := m.do(ctx, podTimeout, progress.Step{Subject: c.Name, What: what, Log: c.Log(ToolsLog)}, func(ctx context.Context) error {
			return withLog(c.Log(ToolsLog), func(log io.Writer) error { return c.Images().Import(ctx, images, log) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// renewImages imports images that were built anew since the cluster got them, and replaces the pods that use them.
func (m *Manager) renewImages(ctx context.Context, c *cluster.Cluster) error {
	images, err := c.Images().Outdated(c.Artifacts.Images)
	if err != nil || len(images) == 0 {
		return err
	}
	what := fmt.Sprintf("new images imported: %s", strings.Join(imageNames(images), ", "))
	return m.do(ctx, podTimeout, progress.Step{Subject: c.Name, What: what, Log: c.Log(ToolsLog)}, func(ctx context.Context) error {
		err := withLog(c.Log(ToolsLog), func(log io.Writer) error { return c.Images().Import(ctx, images, log) })
		if err != nil {
			return err
		}
		client, err := kube.New(c.Kubeconfig())
		if err != nil {
			return err
		}
		restarted, err := client.RestartUsers(ctx, canonical(images), m.Now())
		if err != nil {
			return fmt.Errorf("replace pods: %w", err)
		}
		for _, d := range restarted {
			m.Progress.Printf(c.Name, "replacing the pods of %s", d)
		}
		// only now: an import that was cut short is done again
		return image.Record(c.Images().Root, c.Artifacts.Images)
	})
}

func imageNames(images []artifacts.Image) []string {
	names := make([]string, 0, len(images))
	for _, i := range images {
		names = append(names, i.Name)
	}
	return names
}

func canonical(images []artifacts.Image) []string {
	names := imageNames(images)
	for i, n := range names {
		names[i] = kube.Canonical(n)
	}
	return names
}

// withLog appends to a log file.
func withLog(file string, f func(log io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := log.Close(); err == nil {
			err = cerr
		}
	}()
	return f(log)
}
