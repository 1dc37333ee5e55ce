// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// completionTimeout bounds what a person waits for after pressing tab.
const completionTimeout = 3 * time.Second

// completer is cobra's type of completion functions.
type completer = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective)

// complete ties a completion to a flag. A flag that does not exist is a mistake of the program, so tests would show it.
func (a *app) complete(cmd *cobra.Command, flag string, f completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(fmt.Sprintf("completion of --%s: %v", flag, err))
	}
}

// suggest runs a lookup in the cluster of --context and turns it into suggestions; whatever fails suggests nothing.
func (a *app) suggest(cmd *cobra.Command, lookup func(context.Context, Access) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(contextOf(cmd), completionTimeout)
	defer cancel()
	c, err := a.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, err := lookup(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	contexts, err := a.Open(a.kubeconfig).Contexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return contexts, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completePolicies(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.suggest(cmd, func(ctx context.Context, c Access) ([]string, error) {
		all, err := policies(ctx, c)
		return names(all), err
	})
}

func (a *app) completePeers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.suggest(cmd, func(ctx context.Context, c Access) ([]string, error) {
		var list v1alpha1.PeerList
		err := c.List(ctx, &list, client.InNamespace(v1alpha1.Namespace))
		return keys(list.Items, func(p *v1alpha1.Peer) string { return p.Name }), err
	})
}

func (a *app) completeServices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.suggest(cmd, func(ctx context.Context, c Access) ([]string, error) {
		var list corev1.ServiceList
		err := c.List(ctx, &list, client.InNamespace(a.namespace))
		return keys(list.Items, func(s *corev1.Service) string { return named(s) }), err
	})
}

func (a *app) completeExports(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.suggest(cmd, func(ctx context.Context, c Access) ([]string, error) {
		var list mcsv1beta1.ServiceExportList
		err := c.List(ctx, &list, client.InNamespace(a.namespace))
		return keys(list.Items, func(e *mcsv1beta1.ServiceExport) string { return named(e) }), err
	})
}

// completeImports suggests what `status` can be asked about: imports stand wherever exports do.
func (a *app) completeImports(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.suggest(cmd, func(ctx context.Context, c Access) ([]string, error) {
		var list mcsv1beta1.ServiceImportList
		err := c.List(ctx, &list, client.InNamespace(a.namespace))
		return keys(list.Items, func(i *mcsv1beta1.ServiceImport) string { return named(i) }), err
	})
}

func named(obj client.Object) string {
	return short(types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()})
}

func keys[T any](items []T, key func(*T) string) []string {
	out := make([]string, 0, len(items))
	for i := range items {
		out = append(out, key(&items[i]))
	}
	return out
}
