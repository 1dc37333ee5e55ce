// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func newStatusCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [NAME/NAMESPACE]",
		Short: "Show where a service, or everything, stands",
		Long: `status shows a service as this cluster sees it: its name and address, its ports, the WAN policy in
use, the clusters that export it with their ready backends, and the ways to them. Without a service
it shows the cluster: its peers, WAN policies and services.

It fails (exit code 1) if the service is neither exported nor imported here, or is not ready;
without a service, if a peer, a policy or a service is not ready.`,
		Example: `  mcwanctl --context cluster-1 status payment/secure

  # The cluster, its peers and all services.
  mcwanctl --context cluster-1 status

  # For a program.
  mcwanctl status payment/secure -o json`,
		Args:              atMostOne,
		ValidArgsFunction: a.completeImports,
	}
	output := a.addFormat(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return a.overview(cmd.Context(), output.value)
		}
		return a.status(cmd.Context(), args[0], output.value)
	}
	return cmd
}

func (a *app) status(ctx context.Context, arg, output string) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	key, err := a.target(arg, c.Namespace)
	if err != nil {
		return err
	}
	facts, err := gatherService(ctx, c, key)
	if err != nil {
		return err
	}
	if facts.export == nil && facts.imported == nil && len(facts.adverts) == 0 {
		return fmt.Errorf("%s is neither exported from nor imported into context %s; export it where its Service is: mcwanctl export %s", short(key), c.Context, short(key))
	}
	s := serviceStatus(facts)
	if output == formatTable {
		err = printService(a.Out, s)
	} else {
		err = encode(a.Out, output, s)
	}
	if err == nil && !s.Ready {
		err = fmt.Errorf("%s is not ready: %s", short(key), s.Why)
	}
	return err
}

// clusterFacts is what is read of a cluster for any status.
type clusterFacts struct {
	own      v1alpha1.ClusterAdvertisementSpec
	peers    []v1alpha1.Peer
	policies []v1alpha1.WANPolicy
}

// serviceFacts is what is read for the status of one service.
type serviceFacts struct {
	clusterFacts
	key      types.NamespacedName
	export   *mcsv1beta1.ServiceExport
	imported *mcsv1beta1.ServiceImport
	adverts  []v1alpha1.ServiceAdvertisement
	// cards are those that were written by hand.
	cards []v1alpha1.ClusterAdvertisementSpec
}

func gatherCluster(ctx context.Context, c Access) (clusterFacts, error) {
	own, err := c.self(ctx)
	if err != nil {
		return clusterFacts{}, err
	}
	var peers v1alpha1.PeerList
	if err := c.List(ctx, &peers, client.InNamespace(v1alpha1.Namespace)); err != nil {
		return clusterFacts{}, c.explain("listing Peers", err)
	}
	all, err := policies(ctx, c)
	return clusterFacts{own: own.Spec, peers: peers.Items, policies: all}, err
}

func gatherService(ctx context.Context, c Access, key types.NamespacedName) (serviceFacts, error) {
	facts := serviceFacts{key: key}
	var err error
	if facts.clusterFacts, err = gatherCluster(ctx, c); err != nil {
		return facts, err
	}
	if facts.export, err = getOrNil(ctx, c, key, &mcsv1beta1.ServiceExport{}); err != nil {
		return facts, err
	}
	if facts.imported, err = getOrNil(ctx, c, key, &mcsv1beta1.ServiceImport{}); err != nil {
		return facts, err
	}
	if facts.adverts, err = advertisements(ctx, c, key); err != nil {
		return facts, err
	}
	var cards v1alpha1.ClusterAdvertisementList
	if err := c.List(ctx, &cards, client.InNamespace(v1alpha1.Namespace), client.HasLabels{v1alpha1.LabelManual}); err != nil {
		return facts, c.explain("listing cards", err)
	}
	for _, card := range cards.Items {
		facts.cards = append(facts.cards, card.Spec)
	}
	return facts, nil
}

// getOrNil reads an object; what does not exist is nil.
func getOrNil[T client.Object](ctx context.Context, c Access, key types.NamespacedName, obj T) (T, error) {
	var none T
	err := c.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, c.explain(fmt.Sprintf("reading %T %s", obj, short(key)), err)
	}
	return obj, nil
}
