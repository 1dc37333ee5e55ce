// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"context"
	"encoding"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// NewCommand returns the command `wan`, which shows and changes the SD-WAN whose control socket the given function finds.
func NewCommand(socket func() (string, error)) *cobra.Command {
	client := func() (*Client, error) {
		path, err := socket()
		if err != nil {
			return nil, err
		}
		return NewClient(path), nil
	}
	cmd := newStatusCommand(client)
	cmd.AddCommand(
		newSetCommand(client),
		newCountersCommand(client),
		newPlainCommand("heal", "Give all tunnels their configured settings back, and the state up",
			"all tunnels are as configured, and up", client, (*Client).Heal),
		newPlainCommand("reset-counters", "Set all counters to zero", "all counters are zero", client, (*Client).ResetCounters),
	)
	return cmd
}

// connect makes the client when a command runs, for only then the control socket's path has to be known.
type connect func() (*Client, error)

// newPlainCommand returns a command that makes one call and says that it is done.
func newPlainCommand(use, short, done string, client connect, call func(*Client, context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client()
			if err != nil {
				return err
			}
			if err := call(c, cmd.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
			return err
		},
	}
}

func newSetCommand(client connect) *cobra.Command {
	var (
		values   Settings
		from, to string
	)
	cmd := &cobra.Command{
		Use:   "set TUNNEL",
		Short: "Change settings of a tunnel, in one direction or in all",
		Long: `Change settings of a tunnel, in one direction or in all. Settings that are not named stay as they are.
'*' stands for all tunnels.

Latency is one way: with 20ms in both directions, a round trip takes 40ms.`,
		Example: `  wan set business --latency 60ms --jitter 20ms --loss 1%
  wan set internet --from cluster-1 --to cluster-2 --rate 10mbit
  wan set lte --state refused
  wan set '*' --from cluster-1 --state blackhole
  wan set lte --rate unlimited --state up`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := patchOf(cmd, &values)
			if p.Empty() {
				return errors.New("nothing to set; give at least one of --latency, --jitter, --loss, --rate, --queue, --state")
			}
			c, err := client()
			if err != nil {
				return err
			}
			if err := c.Set(cmd.Context(), args[0], from, to, p); err != nil {
				return err
			}
			st, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			return writeLinks(cmd.OutOrStdout(), st, args[0], from, to)
		},
	}
	addSettingsFlags(cmd, &values)
	cmd.Flags().StringVar(&from, "from", Wildcard, "`SITE` that sends")
	cmd.Flags().StringVar(&to, "to", Wildcard, "`SITE` that receives")
	return cmd
}

// text is a value that a flag can be.
type text interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

func addSettingsFlags(cmd *cobra.Command, s *Settings) {
	f := cmd.Flags()
	for _, flag := range []struct {
		name, usage string
		value       text
	}{
		{"latency", "one-way delay, a `DURATION` such as 20ms", &s.Latency},
		{"jitter", "most that is added to the latency, a `DURATION` such as 5ms", &s.Jitter},
		{"loss", "packets that are lost, a `PERCENTAGE` such as 1%", &s.Loss},
		{"rate", "bits a second, a `RATE` such as 500kbit, 10mbit or unlimited", &s.Rate},
		{"queue", "longest wait for the rate, a `DURATION` such as 200ms", &s.Queue},
	} {
		f.TextVar(flag.value, flag.name, flag.value, flag.usage)
		f.Lookup(flag.name).DefValue = "" // what is not given does not change
	}
	f.StringVar((*string)(&s.State), "state", "", "`STATE`: up, refused (TCP is reset, other IP prohibited) or blackhole (all is lost)")
}

// patchOf returns the settings whose flags were given.
func patchOf(cmd *cobra.Command, s *Settings) Patch {
	return Patch{
		Latency: given(cmd, "latency", &s.Latency), Jitter: given(cmd, "jitter", &s.Jitter), Loss: given(cmd, "loss", &s.Loss),
		Rate: given(cmd, "rate", &s.Rate), Queue: given(cmd, "queue", &s.Queue), State: given(cmd, "state", &s.State),
	}
}

func given[T any](cmd *cobra.Command, flag string, value *T) *T {
	if cmd.Flags().Changed(flag) {
		return value
	}
	return nil
}
