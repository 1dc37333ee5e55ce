// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// watchInterval is the time between two pictures of --watch.
const watchInterval = time.Second

// sample is what the SD-WAN said of itself at a time.
type sample struct {
	Status
	at time.Time
}

// viewer shows samples, once or all the time.
type viewer struct {
	output string
	watch  bool
	data   func(Status) any                             // what -o json and -o yaml show
	table  func(w io.Writer, now, before *sample) error // before is nil but in a watch, from the second sample on
}

func (v *viewer) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&v.output, "output", "o", "", "`FORMAT`: json or yaml; a table when not given")
	cmd.Flags().BoolVarP(&v.watch, "watch", "w", false, "show it again every second, with rates, until interrupted")
}

func (v *viewer) run(cmd *cobra.Command, client connect) error {
	if v.output != "" && v.output != "json" && v.output != "yaml" {
		return fmt.Errorf("--output: %q is not known; give json or yaml, or leave it out for a table", v.output)
	}
	c, err := client()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	var before *sample
	for {
		st, err := c.Status(ctx)
		if err != nil {
			if v.watch && ctx.Err() != nil {
				return nil // interrupted, as a watch is meant to be
			}
			return err
		}
		now := &sample{Status: st, at: time.Now()}
		if err := v.show(cmd.OutOrStdout(), now, before); err != nil || !v.watch {
			return err
		}
		if before = now; !sleep(ctx, watchInterval) {
			return nil
		}
	}
}

func (v *viewer) show(w io.Writer, now, before *sample) error {
	switch v.output {
	case "json":
		e := json.NewEncoder(w)
		if !v.watch { // in a watch one line is one sample
			e.SetIndent("", "  ")
		}
		return e.Encode(v.data(now.Status))
	case "yaml":
		b, err := yaml.Marshal(v.data(now.Status))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "---\n%s", b)
		return err
	}
	if _, err := fmt.Fprint(w, v.separator(w, before == nil)); err != nil {
		return err
	}
	return v.table(w, now, before)
}

// separator is what is written before a table in a watch: on a terminal it clears the screen.
func (v *viewer) separator(w io.Writer, first bool) string {
	switch {
	case v.watch && isTerminal(w):
		return "\x1b[H\x1b[J" // cursor home, clear to the end
	case v.watch && !first:
		return "\n"
	}
	return ""
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// sleep waits for d and says whether ctx is still alive then.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func newStatusCommand(client connect) *cobra.Command {
	v := &viewer{data: func(s Status) any { return s }, table: writeStatus}
	cmd := &cobra.Command{
		Use:   "wan",
		Short: "Show and change the software SD-WAN between the clusters",
		Long: `Show and change the software SD-WAN between the clusters, while traffic runs.

Without a subcommand: settings and counters of every tunnel, in each direction between two sites. Latency is one way.`,
		Example: `  wan --watch
  wan set business --state blackhole
  wan set business --from cluster-1 --to cluster-2 --latency 80ms --loss 2%
  wan counters --by source
  wan heal`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd, client) },
	}
	v.addFlags(cmd)
	return cmd
}

// groupings are the values of --by.
func groupings() map[string]func(Flow) Flow {
	return map[string]func(Flow) Flow{
		"flow":        func(f Flow) Flow { return f },
		"source":      func(f Flow) Flow { return Flow{Tunnel: f.Tunnel, From: f.From, To: f.To, Source: f.Source} },
		"destination": func(f Flow) Flow { return Flow{Tunnel: f.Tunnel, From: f.From, To: f.To, Destination: f.Destination} },
		"tunnel":      func(f Flow) Flow { return Flow{Tunnel: f.Tunnel} },
	}
}

func newCountersCommand(client connect) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "counters",
		Short: "Show who sent what over which tunnel",
		Long: `Show who sent what over which tunnel, counted where packets are forwarded.

CONNS are packets that ask for a TCP connection. PORT is the port by which a tunnel was chosen.`,
		Args: cobra.NoArgs,
	}
	v := &viewer{}
	v.addFlags(cmd)
	cmd.Flags().StringVar(&by, "by", "flow", "`GROUP`: flow, source, destination or tunnel")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		mask, known := groupings()[by]
		if !known {
			return fmt.Errorf("--by: %q is not known; give flow, source, destination or tunnel", by)
		}
		v.data = func(s Status) any { return s.Counters.By(mask) }
		v.table = func(w io.Writer, now, before *sample) error { return writeCounters(w, now, before, mask) }
		return v.run(cmd, client)
	}
	return cmd
}
