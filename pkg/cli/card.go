// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func newCardCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "card",
		Short: "Print this cluster's public data, for another cluster to join it",
		Long: `card prints this cluster's public data as a Peer: its id, the identities of its gateways, where they
are reached over the SD-WAN and on which ports. There is no secret in it. Applied in another cluster
it makes this cluster a peer there; a join is both clusters applying each other's card.`,
		Example: `  # Join two clusters without a machine that reaches both.
  mcwanctl --context cluster-1 card > cluster-1.yaml
  mcwanctl --context cluster-2 card > cluster-2.yaml
  kubectl --context cluster-1 apply -f cluster-2.yaml
  kubectl --context cluster-2 apply -f cluster-1.yaml`,
		Args:              exactly(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	output := a.addFormat(cmd, formatYAML, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.card(cmd.Context(), output.value) }
	return cmd
}

func (a *app) card(ctx context.Context, output string) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	own, err := c.self(ctx)
	if err != nil {
		return err
	}
	if err := checkCard(own.Spec); err != nil {
		return fmt.Errorf("context %s: %w", c.Context, err)
	}
	u, err := manifest(peerOf(own.Spec))
	if err != nil {
		return err
	}
	return encode(a.Out, output, u.Object)
}

// peerOf is the Peer that stands for the cluster of a card in other clusters.
func peerOf(card v1alpha1.ClusterAdvertisementSpec) *v1alpha1.Peer {
	return &v1alpha1.Peer{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "Peer"},
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: card.ClusterID},
		Spec: v1alpha1.PeerSpec{
			ClusterID:  card.ClusterID,
			ClusterUID: card.ClusterUID,
			Identities: card.Identities,
			Bootstrap:  v1alpha1.Bootstrap{Addresses: card.Addresses, Policies: card.Policies},
		},
	}
}

// cardOf is what a Peer says of its cluster, the inverse of peerOf.
func cardOf(peer *v1alpha1.Peer) v1alpha1.ClusterAdvertisementSpec {
	return v1alpha1.ClusterAdvertisementSpec{
		ClusterID:  peer.Spec.ClusterID,
		ClusterUID: peer.Spec.ClusterUID,
		Identities: peer.Spec.Identities,
		Addresses:  peer.Spec.Bootstrap.Addresses,
		Policies:   peer.Spec.Bootstrap.Policies,
	}
}

// checkCard says why a card is of no use to another cluster.
func checkCard(card v1alpha1.ClusterAdvertisementSpec) error {
	if len(card.Addresses) == 0 {
		return fmt.Errorf("the ingress gateway of %s has no ready pod, so it cannot be reached; see: kubectl -n %s get pods -l %s=%s",
			card.ClusterID, v1alpha1.Namespace, v1alpha1.LabelGateway, v1alpha1.GatewayIngress)
	}
	if len(card.Policies) == 0 {
		return fmt.Errorf("%s has no usable WANPolicy, so there is no port to reach it on; see: kubectl get wanpolicies", card.ClusterID)
	}
	return nil
}
