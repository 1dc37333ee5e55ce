// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes of mcwanctl.
const (
	// ExitOK: done, and no problem was found.
	ExitOK = 0
	// ExitFailed: a check failed, or a state was not found or not reached.
	ExitFailed = 1
	// ExitUsage: a usage error.
	ExitUsage = 2
)

// Env is what mcwanctl takes from its surroundings.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Version is that of this binary.
	Version string
	// Open gives access to the clusters of a kubeconfig file; an empty path stands for the usual places.
	Open func(kubeconfig string) Clusters
	// Poll is how often a condition that is waited for is looked at; 0 stands for half a second.
	Poll time.Duration
}

// app is what the commands share: the surroundings and the global flags.
type app struct {
	Env
	kubeconfig string
	context    string
	namespace  string
}

// Run runs one command line (without the program's name) and returns the exit code.
func Run(ctx context.Context, args []string, env Env) int {
	if env.Open == nil {
		env.Open = openKubeconfig
	}
	if env.Poll == 0 {
		env.Poll = 500 * time.Millisecond
	}
	root := newRootCmd(env)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	say(env.Err, "mcwanctl: %v", err)
	var usage *usageError
	if errors.As(err, &usage) {
		say(env.Err, "see: %s --help", cmd.CommandPath())
		return ExitUsage
	}
	return ExitFailed
}

// usageError is an error of the command line, not of the clusters.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

func newRootCmd(env Env) *cobra.Command {
	a := &app{Env: env}
	root := &cobra.Command{
		Use:   "mcwanctl",
		Short: "Export services to other clusters over an SD-WAN, join clusters, see what stands where",
		Long: `mcwanctl exports services to other clusters over an SD-WAN, joins clusters and shows what stands
where.

Services are named NAME/NAMESPACE, as in payment/secure.

Exit codes: 0 done, 1 a check failed or a state was not found or not reached, 2 usage error.`,
		Example: `  # In cluster-1: call services of cluster-2 from now on, and the other way round.
  mcwanctl --context cluster-1 join cluster-2

  # In cluster-2: let other clusters call payment in namespace secure, by the high-priority tunnel.
  mcwanctl --context cluster-2 export payment/secure --wan-policy=high

  # See where it stands.
  mcwanctl --context cluster-1 status payment/secure`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err: err} })

	flags := root.PersistentFlags()
	flags.StringVar(&a.context, "context", "", "kubeconfig context of the cluster to work on (default: the current one)")
	flags.StringVar(&a.kubeconfig, "kubeconfig", "", "path of the kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)")
	flags.StringVarP(&a.namespace, "namespace", "n", "", "namespace of a service that is named without one (default: that of the context)")
	a.complete(root, "context", a.completeContexts)

	root.AddCommand(
		newExportCmd(a), newUnexportCmd(a), newImportCmd(a), newUnimportCmd(a), newStatusCmd(a), newExplainCmd(a),
		newTunnelsCmd(a), newDrainCmd(a), newUndrainCmd(a),
		newJoinCmd(a), newLeaveCmd(a), newCardCmd(a),
		newRenderCmd(a), newVersionCmd(a),
	)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", helpColumns)))
	return root
}

// helpColumns is how wide the help of flags is; the other help texts are written that wide.
const helpColumns = 100

// unknownCommand refuses arguments of the root command: they are commands that do not exist.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", near[0])
	}
	return usagef("unknown command %q%s", args[0], hint)
}

// exactly wants these positional arguments, by the names they have in the usage line.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(args) < len(names) {
			return usagef("%s is missing", names[len(args)])
		}
		return usagef("unexpected argument %q", args[len(names)])
	}
}

// atMostOne wants no more than one positional argument.
func atMostOne(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("unexpected argument %q", args[1])
	}
	return nil
}

// say tells the person something; data goes to Out.
func (a *app) say(format string, args ...any) { say(a.Err, format, args...) }

// say writes a line. Where standard error cannot be written to, there is nobody left to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
