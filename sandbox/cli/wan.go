// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/l7mp/mc-wan/sandbox/lifecycle"
	"github.com/l7mp/mc-wan/sandbox/wan"
)

// newWAN is the SD-WAN's own command, told which SD-WAN is meant, and with the means to turn it off and on.
func newWAN(o *options) *cobra.Command {
	var cmd *cobra.Command
	cmd = wan.NewCommand(func() (string, error) {
		s, err := o.sandbox(cmd)
		if err != nil {
			return "", err
		}
		return s.WAN.Socket(), nil
	})
	cmd.PostRunE = func(cmd *cobra.Command, _ []string) error { return o.warn(cmd) }
	cmd.AddCommand(
		o.newSwitch("stop", "Turn the SD-WAN off: nothing crosses between the clusters until it is on again", func(cmd *cobra.Command, s *lifecycle.Sandbox) error {
			return s.StopWAN(cmd.Context())
		}),
		o.newSwitch("start", "Turn the SD-WAN on, with all tunnels as configured", func(cmd *cobra.Command, s *lifecycle.Sandbox) error {
			return s.StartWAN(cmd.Context())
		}),
	)
	return cmd
}

func (o *options) newSwitch(use, short string, f func(*cobra.Command, *lifecycle.Sandbox) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := lifecycle.CheckRoot(); err != nil {
				return err
			}
			s, err := o.sandbox(cmd)
			if err != nil {
				return err
			}
			return f(cmd, s)
		},
	}
}

// warn says on standard error which WANPolicies cannot be followed.
func (o *options) warn(cmd *cobra.Command) error {
	s, err := o.sandbox(cmd)
	if err != nil {
		return err
	}
	problems, err := s.WAN.Problems()
	for _, p := range problems {
		if _, err := fmt.Fprintln(cmd.ErrOrStderr(), "warning:", p); err != nil {
			return err
		}
	}
	return err
}
