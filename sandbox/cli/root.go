// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/lifecycle"
	"github.com/l7mp/mc-wan/sandbox/progress"
	"github.com/l7mp/mc-wan/sandbox/state"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// defaultName is the sandbox that commands mean when none is named.
const defaultName = "mcw"

// usageError marks an error as one of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Main runs the command line and returns the exit code: 0 done, 1 failed, 2 wrong usage.
func Main(version string, args []string, stdout, stderr io.Writer) int {
	keepFilesFromDaemons()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	klog.SetLogger(logr.Discard()) // what clients of Kubernetes log beside returning it as an error
	cmd := newRoot(version)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	// an error that cannot be shown still is the exit code
	_, _ = fmt.Fprintln(stderr, "mcwan-sandbox:", err)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		_, _ = fmt.Fprintln(stderr, "sandboxes belong to root; run it with sudo")
	}
	if isUsage(err) {
		_, _ = fmt.Fprintln(stderr, "see mcwan-sandbox --help")
		return exitUsage
	}
	return exitFailed
}

func isUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage)
}

// options are what all commands share.
type options struct {
	name     string
	stateDir string
	repo     string
	version  string
}

func newRoot(version string) *cobra.Command {
	o := &options{version: version}
	cmd := &cobra.Command{
		Use:   "mcwan-sandbox",
		Short: "Real Kubernetes clusters joined by a software SD-WAN, on one machine, without Docker",
		Long: `mcwan-sandbox runs real Kubernetes clusters on this machine: etcd, API server, kubelet, containerd, Istio and the
mc-wan add-on in each of them. A software SD-WAN is the only way between the clusters. It needs root, and no Docker.`,
		Example: `  mcwan-sandbox up --clusters 2
  export KUBECONFIG=$(mcwan-sandbox kubeconfig)
  kubectl --context cluster-1 get nodes
  mcwan-sandbox wan set business --state refused
  mcwan-sandbox down`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.name, "name", defaultName, "the sandbox's `NAME`")
	flags.StringVar(&o.stateDir, "state-dir", state.DefaultRoot, "the `FOLDER` of all sandboxes")
	flags.StringVar(&o.repo, "repo", "", "the `FOLDER` of the product's source (default: that of this program, or the current one)")
	cmd.AddCommand(newUp(o), newDown(o), newStatus(o), newKubeconfig(o), newLogs(o), newWAN(o), newBuild(o), newVersion(o), newInternal())
	usageOfArgs(cmd)
	return cmd
}

// noArgs refuses arguments; for the root it also names the command that does not exist.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command or argument %q for %q", args[0], cmd.CommandPath())}
	}
	return nil
}

// usageOfArgs makes every complaint about arguments one of usage, also those of commands that other packages made.
func usageOfArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		usageOfArgs(c)
	}
}

// manager does the work; progress goes to standard error.
func (o *options) manager(cmd *cobra.Command) (*lifecycle.Manager, error) {
	if err := state.ValidateName(o.name); err != nil {
		return nil, usageError{err}
	}
	root, err := filepath.Abs(o.stateDir)
	if err != nil {
		return nil, err
	}
	return &lifecycle.Manager{
		Store:    state.Store{Root: root},
		Progress: progress.New(cmd.ErrOrStderr(), time.Now),
		Now:      time.Now,
	}, nil
}

// repoRoot finds the product's source: where --repo says, above this program (bin/ is in it), or above the current
// folder.
func (o *options) repoRoot() (string, error) {
	if o.repo != "" {
		return filepath.Abs(o.repo)
	}
	var starts []string
	if self, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(self))
	}
	if cwd, err := os.Getwd(); err == nil {
		starts = append(starts, cwd)
	}
	for _, dir := range starts {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "sandbox", "node", "go.mod")); err == nil {
				return dir, nil
			}
		}
	}
	return "", errors.New("the source of mc-wan is neither above this program nor above the current folder; name it with --repo")
}

// build makes programs and images as far as they are not there, and tells the steps that take time.
func (o *options) build(ctx context.Context, log *progress.Log) (artifacts.Set, error) {
	opts, err := o.buildOptions(log)
	if err != nil {
		return artifacts.Set{}, err
	}
	return artifacts.Build(ctx, opts)
}

// buildPrograms makes only the programs of some groups.
func (o *options) buildPrograms(ctx context.Context, log *progress.Log, groups []string) error {
	opts, err := o.buildOptions(log)
	if err != nil {
		return err
	}
	return artifacts.BuildPrograms(ctx, opts, groups)
}

func (o *options) buildOptions(log *progress.Log) (artifacts.Options, error) {
	root, err := o.repoRoot()
	if err != nil {
		return artifacts.Options{}, err
	}
	return artifacts.Options{RepoRoot: root, Log: func(e artifacts.Event) {
		switch e.State {
		case artifacts.UpToDate:
		case artifacts.Done:
			log.Printf("build", "%s (%.1fs)", e.Step, e.Elapsed.Seconds())
		default:
			log.Printf("build", "%s %s %s", e.Step, e.State, e.Detail)
		}
	}}, nil
}

// sandbox is the one that --name names.
func (o *options) sandbox(cmd *cobra.Command) (*lifecycle.Sandbox, error) {
	m, err := o.manager(cmd)
	if err != nil {
		return nil, err
	}
	return m.Sandbox(o.name)
}
