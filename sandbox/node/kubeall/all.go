// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/apimachinery/pkg/util/wait"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	kubeletoptions "k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	utilfs "k8s.io/kubernetes/pkg/util/filesystem"

	"github.com/l7mp/mc-wan/sandbox/node/internal/flagfile"
)

const (
	// readyURL answers anonymous callers; the port is the one --secure-port must name.
	readyURL = "https://127.0.0.1:6443/readyz"
	// readyTimeout bounds the wait for the API server: an empty one needs 3 to 5 s, a busy machine several times that.
	readyTimeout = 3 * time.Minute
)

// runAll runs etcd and every component in this process and never returns: when one of them ends, so does the process
// (the cluster is one unit, and a supervisor sees it die). dir/NAME.args holds a component's flags, one per line; a
// cluster without etcd.args uses an etcd of its own elsewhere.
//
// genericapiserver.SetupSignalContext panics when it is called twice in one process. The API server's command calls it
// when it is made; those of the scheduler and the kubelet would call it again, so these two are started below their
// commands.
func runAll(dir string) {
	// Each component applies the logging configuration; the second one would be refused as a change after use.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	ctx := context.Background()
	flags := argsDir(dir)

	if _, err := os.Stat(flags.path("etcd")); !errors.Is(err, fs.ErrNotExist) {
		go etcdmain.Main(append([]string{"etcd"}, flags.read("etcd")...))
	}
	start("kube-apiserver", apiserver.NewAPIServerCommand(), flags)
	if err := waitReady(ctx); err != nil {
		fatal("kube-apiserver", err)
	}
	go func() { fatal("kubelet", runKubelet(ctx, flags.read("kubelet"))) }()
	start("kube-controller-manager", kcm.NewControllerManagerCommand(), flags)
	go func() { fatal("kube-scheduler", runScheduler(ctx, flags.read("kube-scheduler"))) }()
	start("kube-proxy", kubeproxy.NewProxyCommand(), flags)
	select {}
}

// start runs a component by its own command, in the background.
func start(name string, cmd *cobra.Command, flags argsDir) {
	cmd.SetArgs(flags.read(name))
	cmd.SetGlobalNormalizationFunc(cliflag.WordSepNormalizeFunc)
	go func() { fatal(name, cmd.Execute()) }()
}

// waitReady returns when the API server says it is ready.
func waitReady(ctx context.Context) error {
	// The server's certificate is that of the cluster's own CA, which this process has no need to know.
	client := &http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	defer client.CloseIdleConnections()
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, readyTimeout, true, func(context.Context) (bool, error) {
		resp, err := client.Get(readyURL)
		if err != nil {
			return false, nil
		}
		return resp.StatusCode == http.StatusOK, resp.Body.Close()
	})
}

// runKubelet does what the kubelet's command does between parsing its flags and running: no drop-in configuration,
// feature gates as they are by default.
func runKubelet(ctx context.Context, args []string) error {
	flags := kubeletoptions.NewKubeletFlags()
	fs := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	flags.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	loader, err := configfiles.NewFsLoader(&utilfs.DefaultFs{}, flags.KubeletConfigFile)
	if err != nil {
		return err
	}
	config, err := loader.Load(ctx)
	if err != nil {
		return err
	}
	server := &kubeletoptions.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *config}
	deps, err := kubelet.UnsecuredDependencies(ctx, server, utilfeature.DefaultFeatureGate)
	if err != nil {
		return err
	}
	return kubelet.Run(ctx, server, deps, utilfeature.DefaultFeatureGate)
}

// runScheduler does what the scheduler's command does between parsing its flags and running.
func runScheduler(ctx context.Context, args []string) error {
	opts := scheduleroptions.NewOptions()
	fs := pflag.NewFlagSet("kube-scheduler", pflag.ContinueOnError)
	for _, set := range opts.Flags.FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	config, sched, err := scheduler.Setup(ctx, opts)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, sched)
}

// argsDir is the folder of the components' flag files.
type argsDir string

func (d argsDir) path(component string) string {
	return filepath.Join(string(d), component+".args")
}

// read returns a component's flags; without them the process ends.
func (d argsDir) read(component string) []string {
	text, err := os.ReadFile(d.path(component))
	if err != nil {
		fatal(component, err)
	}
	return flagfile.Parse(string(text))
}
