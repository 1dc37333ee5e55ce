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
		Long: `leave takes a join back: this cluster forgets what CLUSTER exports, and stops letting its egress
gateway in.

Requests from here to CLUSTER go to other exporters at once; services that no other cluster exports
lose their imports here. Requests from CLUSTER are let in for a while longer (--leave-linger of the
controller, 30s by default). This cluster's feed says so, and CLUSTER uses other exporters where
there are any. After that its requests get 403, and its TCP connections are closed.

The other cluster keeps its side until it leaves too; --both does that, by the kubeconfig context of
the other cluster. See docs/draining.md.`,
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

// departure is one cluster that leaves another: the Peer of that id is to go.
type departure struct {
	Access
	clusterID string
}

// leave removes the Peer here, and on the other side where its context is named.
//
// Whichever side is first goes on to let the other in for a while, and the other sends nothing any more seconds
// after its own Peer went: both orders lose nothing if one deletion follows the other at once, so all that takes time is
// done before the first. That is the one on the other side, which is more likely to be refused: nothing has happened then.
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
	departures := []departure{{c, clusterID}}
	if otherContext != "" {
		there, err := a.departureThere(ctx, c, clusterID, otherContext)
		if err != nil {
			return err
		}
		departures = []departure{there, departures[0]}
	}
	for _, d := range departures {
		a.warnLost(ctx, d)
	}
	for _, d := range departures {
		if err := a.deletePeer(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// departureThere is that of the other side, after making sure that the context is that of the cluster that is meant.
func (a *app) departureThere(ctx context.Context, here Access, clusterID, otherContext string) (departure, error) {
	own, err := here.self(ctx)
	if err != nil {
		return departure{}, err
	}
	there, err := openSide(ctx, a.Open(a.kubeconfig), otherContext)
	if err != nil {
		return departure{}, err
	}
	if there.card.ClusterID != clusterID {
		return departure{}, fmt.Errorf("context %s is cluster %s, not %s; name the right one by --peer-context", there.Context, there.card.ClusterID, clusterID)
	}
	return departure{there.Access, own.Spec.ClusterID}, nil
}

// deletePeer deletes a Peer; one that is gone already is as good.
func (a *app) deletePeer(ctx context.Context, d departure) error {
	peer := &v1alpha1.Peer{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: d.clusterID}}
	err := d.Delete(ctx, peer)
	if apierrors.IsNotFound(err) {
		a.say("context %s: %s was not a peer", d.Context, d.clusterID)
		return nil
	}
	if err != nil {
		return d.explain("deleting Peer "+d.clusterID, err)
	}
	a.say("context %s: %s is no longer a peer", d.Context, d.clusterID)
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
func (a *app) warnLost(ctx context.Context, d departure) {
	var list mcsv1beta1.ServiceImportList
	if err := d.List(ctx, &list); err != nil {
		return
	}
	var lost []string
	for i := range list.Items {
		clusters := list.Items[i].Status.Clusters
		if len(clusters) == 1 && clusters[0].Cluster == d.clusterID {
			lost = append(lost, named(&list.Items[i]))
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		a.say("warning: context %s: no other cluster exports %s", d.Context, strings.Join(lost, ", "))
	}
}
