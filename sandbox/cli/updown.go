// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/lifecycle"
	"github.com/l7mp/mc-wan/sandbox/state"
)

func newUp(o *options) *cobra.Command {
	var clusters, replicas, gogc int
	var noAddon, noIstio, conformance bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make a sandbox, or what is missing of it",
		Long: `Make a sandbox, or what is missing of it. Running it again heals a sandbox after a crash, adds clusters, and renews
images and charts that were built anew. Options that are not given stay as they were.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := o.manager(cmd)
			if err != nil {
				return err
			}
			if m.RepoRoot, err = o.repoRoot(); err != nil {
				return err
			}
			m.Build = func(ctx context.Context) (artifacts.Set, error) { return o.build(ctx, m.Progress) }
			if conformance {
				m.Extra = func(ctx context.Context) ([]artifacts.Image, error) {
					opts, err := o.buildOptions(m.Progress)
					if err != nil {
						return nil, err
					}
					return artifacts.BuildConformanceImages(ctx, opts)
				}
			}
			var want lifecycle.Want
			given(cmd, "clusters", &want.Clusters, clusters)
			given(cmd, "replicas", &want.Replicas, replicas)
			given(cmd, "gogc", &want.GOGC, gogc)
			given(cmd, "no-istio", &want.Istio, !noIstio)
			given(cmd, "no-addon", &want.Addon, !noAddon)
			if noIstio { // without a mesh there is nothing to add to
				without := false
				want.Addon = &without
			}
			s, err := m.Up(cmd.Context(), o.name, want)
			if err != nil {
				return err
			}
			m.Progress.Printf(o.name, "ready")
			return printHints(cmd, o, s)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&clusters, "clusters", 2, "how many `N` clusters, cluster-1 to cluster-N")
	flags.IntVar(&replicas, "replicas", 1, "how many `PODS` each gateway has")
	flags.IntVar(&gogc, "gogc", state.DefaultGOGC, "by how many `PERCENT` the heap of a new cluster's control plane grows between two garbage collections, which take much of a processor for a second")
	flags.BoolVar(&noAddon, "no-addon", false, "install Istio and not mc-wan")
	flags.BoolVar(&noIstio, "no-istio", false, "install neither Istio nor mc-wan")
	flags.BoolVar(&conformance, "conformance", false, "bring the images that the conformance suite of mcs-api runs")
	return cmd
}

// given sets what is wanted to a flag's value if the flag was given.
func given[T any](cmd *cobra.Command, flag string, want **T, value T) {
	if cmd.Flags().Changed(flag) {
		*want = &value
	}
}

func printHints(cmd *cobra.Command, o *options, s *lifecycle.Sandbox) error {
	name := ""
	if o.name != defaultName {
		name = " --name " + o.name
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), `
  export PATH=%s:$PATH
  export KUBECONFIG=%s
  kubectl --context %s get pods --all-namespaces
  mcwan-sandbox%s status
  mcwan-sandbox%s wan
`, s.Clusters[0].Artifacts.BinDir, s.Kubeconfig(), s.Clusters[0].Name, name, name)
	return err
}

func newDown(o *options) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove a sandbox and all that is of it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := o.manager(cmd)
			if err != nil {
				return err
			}
			names := []string{o.name}
			if all {
				if cmd.Flags().Changed("name") {
					return usageError{fmt.Errorf("--all and --name %s exclude each other", o.name)}
				}
				if names, err = m.All(); err != nil {
					return err
				}
			}
			for _, n := range names {
				if err := m.Down(cmd.Context(), n); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all sandboxes of this machine")
	return cmd
}

func newBuild(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "build [PROGRAMS...]",
		Short: "Make the programs and images that clusters are started from",
		Long: `Make the programs and images that clusters are started from, as far as they are not there or their sources have
changed. "up" does the same first; this is for doing it ahead of time.

With arguments, only those programs and no images, which takes neither root nor Debian packages.`,
		Example: "  mcwan-sandbox build helm kubernetes",
		RunE: func(cmd *cobra.Command, programs []string) error {
			m, err := o.manager(cmd)
			if err != nil {
				return err
			}
			if len(programs) > 0 {
				return o.buildPrograms(cmd.Context(), m.Progress, programs)
			}
			set, err := o.build(cmd.Context(), m.Progress)
			if err != nil {
				return err
			}
			m.Progress.Printf("build", "%d images and all programs are ready; kubectl, istioctl and helm are in %s", len(set.Images), set.BinDir)
			return nil
		},
	}
}
