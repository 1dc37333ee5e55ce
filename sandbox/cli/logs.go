// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"
)

func newLogs(o *options) *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs [COMPONENT]",
		Short: "Print the log of a component, or list the logs",
		Long: `Print the log of a component, or list the logs. A component is "wan", or a cluster and one of kubernetes (etcd and all
of Kubernetes, which are one process), containerd, init (process 1) and tools (what up ran: istioctl, helm, mcwanctl).
Logs of pods are kubectl's business.`,
		Example: `  mcwan-sandbox logs
  mcwan-sandbox logs cluster-1/kubelet --lines 100
  mcwan-sandbox logs wan --follow`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.sandbox(cmd)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				table := [][]string{{"COMPONENT", "BYTES", "LAST WRITTEN", "FILE"}}
				for _, l := range s.Logs() {
					table = append(table, []string{l.Name, strconv.FormatInt(l.Bytes, 10), l.Time.Format(time.TimeOnly), l.File})
				}
				return printColumns(cmd.OutOrStdout(), table)
			}
			file, err := s.LogFile(args[0])
			if err != nil {
				return usageError{err}
			}
			return printLog(cmd.Context(), cmd.OutOrStdout(), file, lines, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print what is written from now on, until interrupted")
	cmd.Flags().IntVar(&lines, "lines", 0, "the last `N` lines only")
	return cmd
}

// printLog prints a file from its last lines on (all of it if lines is 0), and goes on if it is to be followed.
func printLog(ctx context.Context, out io.Writer, file string, lines int, follow bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // was only read
	if err := seekLines(f, lines); err != nil {
		return err
	}
	err = wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(context.Context) (bool, error) {
		_, err := io.Copy(out, f)
		return !follow, err
	})
	if wait.Interrupted(err) {
		return nil // told to stop
	}
	return err
}

// seekLines puts the file where its last lines begin.
func seekLines(f *os.File, lines int) error {
	if lines <= 0 {
		return nil
	}
	begins := make([]int64, lines) // of the last lines, as a ring
	var at int64
	n := 0
	for r := bufio.NewReader(f); ; n++ {
		begin := at
		text, err := r.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) {
			at += int64(len(text))
			text, err = r.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) && len(text) == 0 && begin == at {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		begins[n%lines] = begin
		at += int64(len(text))
	}
	start := int64(0)
	if n >= lines {
		start = begins[n%lines]
	}
	_, err := f.Seek(start, io.SeekStart)
	return err
}
