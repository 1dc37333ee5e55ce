// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Where the suite comes from.
const (
	repository = "https://github.com/kubernetes-sigs/mcs-api"
	commit     = "ded161af6ea9596cd9e878c61ed4f4e8d5cf8401"
)

// suite is one run of the conformance suite.
type suite struct {
	// repository is where to get it from, dir where it is kept.
	repository, dir string
	kubeconfig      string
	// contexts are comma-separated.
	contexts string
}

// play gets, builds and runs the suite and returns its report. That specs fail is no error: the report says so.
func (s suite) play(ctx context.Context) ([]byte, error) {
	if err := s.get(ctx); err != nil {
		return nil, err
	}
	folder := filepath.Join(s.dir, "conformance")
	report := filepath.Join(folder, "report.yaml") // where the suite writes it
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	kubeconfig, err := filepath.Abs(s.kubeconfig)
	if err != nil {
		return nil, err
	}
	ran := execute(ctx, folder, "go", "test", "-count=1", "-timeout=0", "-v", ".", "-args", "-ginkgo.no-color",
		"-kubeconfig", kubeconfig, "-contexts", s.contexts, "-project", "mc-wan", "-organization", "L7mp", "-url", "https://github.com/l7mp/mc-wan")
	raw, err := os.ReadFile(report)
	if err != nil {
		return nil, errors.Join(errors.New("the suite wrote no report"), ran, err)
	}
	return raw, nil
}

// get has the pinned commit in dir; what is there already is not fetched again.
func (s suite) get(ctx context.Context) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	// First of all, so that git never means the repository that dir is in.
	if err := execute(ctx, s.dir, "git", "init", "--quiet"); err != nil {
		return err
	}
	if exec.CommandContext(ctx, "git", "-C", s.dir, "cat-file", "-e", commit).Run() != nil {
		if err := execute(ctx, s.dir, "git", "fetch", "--quiet", "--depth=1", s.repository, commit); err != nil {
			return err
		}
	}
	return execute(ctx, s.dir, "git", "checkout", "--quiet", commit)
}

func execute(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return nil
}
