// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/l7mp/mc-wan/sandbox/initd"
	"github.com/l7mp/mc-wan/sandbox/sdwan"
)

// newInternal are the programs that up starts in the background: this one again, so that there is nothing to install.
func newInternal() *cobra.Command {
	cmd := &cobra.Command{Use: "internal", Short: "What up starts in the background", Hidden: true, Args: noArgs}
	cmd.AddCommand(
		&cobra.Command{
			Use: "init SPEC", Short: "Process 1 of a cluster", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				spec, err := initd.ReadSpec(args[0])
				if err != nil {
					return err
				}
				children := make(chan os.Signal, 1)
				signal.Notify(children, syscall.SIGCHLD)
				return initd.Run(cmd.Context(), spec, children, newLogger(cmd))
			},
		},
		&cobra.Command{
			Use: "wan CONFIG", Short: "The SD-WAN of a sandbox", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return sdwan.Run(cmd.Context(), args[0], newLogger(cmd))
			},
		},
	)
	return cmd
}

func newLogger(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}
