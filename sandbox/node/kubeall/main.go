// SPDX-License-Identifier: Apache-2.0

// Command kubeall is etcd, every Kubernetes component and kubectl in one binary, chosen by the name it is called by
// (or by its first argument): they share most of their code, so one binary is a fifth of the size of seven, and one
// process of all components (`kubeall all DIR`) needs about half of the memory of seven processes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	// The upstream mains register these the same way: JSON logs and the metrics of client-go and of the version.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/klog/v2"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	if name == "kubeall" && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	switch name {
	case "all":
		if len(os.Args) != 2 {
			fmt.Fprintln(os.Stderr, "usage: kubeall all DIR (DIR holds COMPONENT.args, one flag per line)")
			os.Exit(2)
		}
		runAll(os.Args[1])
	case "etcd":
		etcdmain.Main(os.Args)
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	default:
		newCommand := component(name)
		if newCommand == nil {
			fmt.Fprintf(os.Stderr, "kubeall: no component is called %q\n", name)
			os.Exit(2)
		}
		os.Exit(cli.Run(newCommand()))
	}
}

// component returns the constructor of a component's own command, nil if there is none of that name.
func component(name string) func() *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand
	case "kube-controller-manager":
		return kcm.NewControllerManagerCommand
	case "kube-scheduler":
		return func() *cobra.Command { return scheduler.NewSchedulerCommand() }
	case "kubelet":
		return func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }
	case "kube-proxy":
		return kubeproxy.NewProxyCommand
	}
	return nil
}

// fatal ends the process with the name of the component that ended; a component that returned without an error
// ended as well.
func fatal(component string, err error) {
	klog.Flush()
	if err == nil {
		err = errors.New("returned")
	}
	fmt.Fprintf(os.Stderr, "kubeall: %s ended: %v\n", component, err)
	os.Exit(1)
}
