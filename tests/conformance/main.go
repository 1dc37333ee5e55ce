// SPDX-License-Identifier: Apache-2.0

// Command conformance runs the conformance suite of mcs-api against clusters that are there, and keeps its report.
// It fails when a spec does not pass that is not listed as known (see known).
//
// The suite is built from its repository at a pinned commit: its module has no releases. Its pods run SocatImage and
// NetshootImage (sandbox/artifacts), which the clusters must have or be able to pull.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	s := suite{}
	sandbox := flag.String("sandbox", "", "the sandbox's command with its --name, which says the kubeconfig")
	flag.StringVar(&s.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "the kubeconfig, without a sandbox")
	flag.StringVar(&s.contexts, "contexts", "cluster-1,cluster-2", "contexts of at least two clusters of one clusterset")
	flag.StringVar(&s.dir, "dir", "build/mcs-api", "where the suite's repository is kept")
	flag.StringVar(&s.repository, "repository", repository, "where to get the suite from: a URL or a folder")
	out := flag.String("out", "docs/conformance-report.yaml", "where the suite's report goes")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if command := strings.Fields(*sandbox); len(command) > 0 {
		path, err := exec.CommandContext(ctx, command[0], append(command[1:], "kubeconfig")...).Output()
		if err != nil {
			return fmt.Errorf("%s kubeconfig: %w", *sandbox, err)
		}
		s.kubeconfig = strings.TrimSpace(string(path))
	}
	if s.kubeconfig == "" {
		return errors.New("no clusters: give -sandbox or -kubeconfig")
	}
	raw, err := s.play(ctx)
	if err != nil {
		return err
	}
	r, err := parse(raw)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		return err
	}
	head := fmt.Sprintf("# The report of the conformance suite of mcs-api at %.8s, as the suite writes it, without what is empty (make conformance).\n", commit)
	if err := os.WriteFile(*out, []byte(head+trim(string(raw))), 0o644); err != nil {
		return err
	}
	fmt.Printf("%d of %d specs pass, see %s\n", r.Passed, r.Total, *out)
	return r.verdict(known())
}
