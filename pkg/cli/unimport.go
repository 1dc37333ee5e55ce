// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

func newUnimportCmd(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use:   "unimport NAME/NAMESPACE",
		Short: "Take back what import wrote",
		Long: `unimport takes an import by hand back, from all clusters that the service was imported from by hand,
or from one. What joined clusters export stays imported. What was written of a cluster itself goes
with the last service imported from it.`,
		Example: `  mcwanctl --context cluster-1 unimport payment/secure

  # From one of several clusters.
  mcwanctl --context cluster-1 unimport payment/secure --cluster=gw-10-2-0-5`,
		Args:              exactly("NAME/NAMESPACE"),
		ValidArgsFunction: a.completeByHand,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.unimport(cmd.Context(), args[0], cluster)
		},
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "id of the cluster (default: all)")
	return cmd
}

func (a *app) unimport(ctx context.Context, arg, cluster string) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	key, err := a.target(arg, c.Namespace)
	if err != nil {
		return err
	}
	all, err := writtenByHand(ctx, c)
	if err != nil {
		return err
	}
	var clusters []string
	for i := range all {
		spec := &all[i].Spec
		if spec.Namespace != key.Namespace || spec.Name != key.Name || (cluster != "" && cluster != spec.ClusterID) {
			continue
		}
		if err := c.Delete(ctx, &all[i]); client.IgnoreNotFound(err) != nil {
			return c.explain("deleting the advertisement of "+short(key), err)
		}
		clusters = append(clusters, spec.ClusterID)
	}
	if len(clusters) == 0 {
		return notByHand(all, key, cluster, c.Context)
	}
	if err := dropCards(ctx, c, clusters); err != nil {
		return err
	}
	slices.Sort(clusters)
	a.say("%s is no longer imported by hand from %s", short(key), strings.Join(clusters, ", "))
	return nil
}

func notByHand(all []v1alpha1.ServiceAdvertisement, key types.NamespacedName, cluster, context string) error {
	var there []string
	for i := range all {
		there = append(there, short(types.NamespacedName{Namespace: all[i].Spec.Namespace, Name: all[i].Spec.Name})+" from "+all[i].Spec.ClusterID)
	}
	slices.Sort(there)
	from := ""
	if cluster != "" {
		from = " from " + cluster
	}
	return fmt.Errorf("%s is not imported by hand%s into context %s; there %s", short(key), from, context, areThere(there))
}

// dropCards deletes the cards of clusters from which nothing is imported by hand any more.
func dropCards(ctx context.Context, c Access, clusters []string) error {
	left, err := writtenByHand(ctx, c)
	if err != nil {
		return err
	}
	for _, id := range clusters {
		if slices.ContainsFunc(left, func(s v1alpha1.ServiceAdvertisement) bool { return s.Spec.ClusterID == id }) {
			continue
		}
		card := &v1alpha1.ClusterAdvertisement{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: translate.HandWrittenCardName(id)}}
		if err := c.Delete(ctx, card); client.IgnoreNotFound(err) != nil {
			return c.explain("deleting the card of "+id, err)
		}
	}
	return nil
}

// writtenByHand are all advertisements that a person wrote.
func writtenByHand(ctx context.Context, c Access) ([]v1alpha1.ServiceAdvertisement, error) {
	var list v1alpha1.ServiceAdvertisementList
	if err := c.List(ctx, &list, client.InNamespace(v1alpha1.Namespace), client.HasLabels{v1alpha1.LabelManual}); err != nil {
		return nil, c.explain("listing advertisements", err)
	}
	return list.Items, nil
}

func (a *app) completeByHand(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.suggest(cmd, func(ctx context.Context, c Access) ([]string, error) {
		all, err := writtenByHand(ctx, c)
		found := keys(all, func(s *v1alpha1.ServiceAdvertisement) string {
			return short(types.NamespacedName{Namespace: s.Spec.Namespace, Name: s.Spec.Name})
		})
		slices.Sort(found)
		return slices.Compact(found), err
	})
}
