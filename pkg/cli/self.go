// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// errNoCard says that a cluster has published nothing about itself.
var errNoCard = errors.New("has no card yet")

// self returns the cluster's own card: of the cards in mc-wan, the one that carries the uid of this cluster.
func (c Access) self(ctx context.Context) (v1alpha1.ClusterAdvertisement, error) {
	var none v1alpha1.ClusterAdvertisement
	var system corev1.Namespace
	if err := c.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, &system); err != nil {
		return none, c.explain("reading the uid of the cluster (namespace kube-system)", err)
	}
	var cards v1alpha1.ClusterAdvertisementList
	if err := c.List(ctx, &cards, client.InNamespace(v1alpha1.Namespace)); err != nil {
		return none, c.explain("listing cards", err)
	}
	var own []v1alpha1.ClusterAdvertisement
	for _, card := range cards.Items {
		if card.Spec.ClusterUID == string(system.UID) {
			own = append(own, card)
		}
	}
	switch len(own) {
	case 1:
		return own[0], nil
	case 0:
		return none, fmt.Errorf("context %s: the cluster %w: is the controller running? See: kubectl --context %s -n %s get pods",
			c.Context, errNoCard, c.Context, v1alpha1.Namespace)
	default:
		return none, fmt.Errorf("context %s: %d cards carry the uid of this cluster, see: kubectl --context %s -n %s get clusteradvertisements",
			c.Context, len(own), c.Context, v1alpha1.Namespace)
	}
}

// explain adds to an error of the API what was tried where, and what is missing if kinds of ours are.
func (c Access) explain(doing string, err error) error {
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("context %s: %s: mc-wan is not installed there (its kinds are missing); see docs/getting-started.md: %w", c.Context, doing, err)
	}
	return fmt.Errorf("context %s: %s: %w", c.Context, doing, err)
}
