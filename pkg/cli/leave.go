// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func newLeaveCmd(a *app) *cobra.Command {
	var both bool
	var other string
	cmd := &cobra.Command{
		Use:   "leave CLUSTER",
		Short: "Stop being a peer of another cluster",
		Long: `leave takes a join back: this cluster forgets what CLUSTER exports and no longer lets its egress
gateway in.

Services that no other cluster exports lose their imports here. The other cluster keeps its side
until it leaves too; --both does that, by the kubeconfig context of the other cluster.`,
		Example: `  mcwanctl --context cluster-1 leave cluster-2

  # Both sides, from a machine that reaches both.
  mcwanctl --context cluster-1 leave cluster-2 --both`,
		Args:              exactly("CLUSTER"),
		ValidArgsFunction: a.completePeers,
		RunE: func(cmd *cobra.Command, args []string) error {
			if other != "" && !both {
				return usagef("--peer-context is of use only with --both")
			}
			if both && other == "" {
				other = args[0]
			}
			return a.leave(cmd.Context(), args[0], other)
		},
	}
	cmd.Flags().BoolVar(&both, "both", false, "leave on the other side too")
	cmd.Flags().StringVar(&other, "peer-context", "", "kubeconfig context of the other cluster, with --both (default: CLUSTER)")
	a.complete(cmd, "peer-context", a.completeContexts)
	return cmd
}

// leave removes the Peer here, and on the other side where its context is named.
func (a *app) leave(ctx context.Context, clusterID, otherContext string) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	var peer v1alpha1.Peer
	err = c.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: clusterID}, &peer)
	if apierrors.IsNotFound(err) && otherContext == "" {
		return a.notJoined(ctx, c, clusterID)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return c.explain("reading Peer "+clusterID, err)
	}
	if otherContext != "" {
		if err := a.leaveThere(ctx, c, clusterID, otherContext); err != nil {
			return err
		}
	}
	a.warnLost(ctx, c, clusterID)
	return a.deletePeer(ctx, c, clusterID)
}

// leaveThere leaves on the other side, after making sure that the context is that of the cluster that is meant.
func (a *app) leaveThere(ctx context.Context, here Access, clusterID, otherContext string) error {
	own, err := here.self(ctx)
	if err != nil {
		return err
	}
	there, err := openSide(ctx, a.Open(a.kubeconfig), otherContext)
	if err != nil {
		return err
	}
	if there.card.ClusterID != clusterID {
		return fmt.Errorf("context %s is cluster %s, not %s; name the right one by --peer-context", there.Context, there.card.ClusterID, clusterID)
	}
	a.warnLost(ctx, there.Access, own.Spec.ClusterID)
	return a.deletePeer(ctx, there.Access, own.Spec.ClusterID)
}

// deletePeer deletes a Peer; one that is gone already is as good.
func (a *app) deletePeer(ctx context.Context, c Access, clusterID string) error {
	peer := &v1alpha1.Peer{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: clusterID}}
	err := c.Delete(ctx, peer)
	if apierrors.IsNotFound(err) {
		a.say("context %s: %s was not a peer", c.Context, clusterID)
		return nil
	}
	if err != nil {
		return c.explain("deleting Peer "+clusterID, err)
	}
	a.say("context %s: %s is no longer a peer", c.Context, clusterID)
	return nil
}

func (a *app) notJoined(ctx context.Context, c Access, clusterID string) error {
	var list v1alpha1.PeerList
	if err := c.List(ctx, &list, client.InNamespace(v1alpha1.Namespace)); err != nil {
		return c.explain("listing Peers", err)
	}
	joined := keys(list.Items, func(p *v1alpha1.Peer) string { return p.Name })
	return fmt.Errorf("context %s has no peer %s; there %s", c.Context, clusterID, areThere(joined))
}

// warnLost warns of imports that only the leaving cluster exports. It is advice, so what cannot be read is left out.
func (a *app) warnLost(ctx context.Context, c Access, clusterID string) {
	var list mcsv1beta1.ServiceImportList
	if err := c.List(ctx, &list); err != nil {
		return
	}
	var lost []string
	for i := range list.Items {
		clusters := list.Items[i].Status.Clusters
		if len(clusters) == 1 && clusters[0].Cluster == clusterID {
			lost = append(lost, named(&list.Items[i]))
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		a.say("warning: context %s: no other cluster exports %s", c.Context, strings.Join(lost, ", "))
	}
}
