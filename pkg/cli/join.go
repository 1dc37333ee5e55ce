// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

type joinOptions struct {
	file       string
	namespaces []string
	wait       bool
	timeout    time.Duration
}

func newJoinCmd(a *app) *cobra.Command {
	var o joinOptions
	cmd := &cobra.Command{
		Use:   "join (CONTEXT | -f CARD)",
		Short: "Join another cluster",
		Long: `join makes two clusters peers: each applies the other's card, pins the identities of its gateways
and starts to read what it exports. Both must run mc-wan and trust the same root certificate.

With CONTEXT, a kubeconfig context of the other cluster, both sides are done, and join waits until
each has read the other. With -f, the card that ` + "`mcwanctl card`" + ` printed in the other cluster, only
this side is done, and join waits until the other cluster answers. The other cluster must apply this
one's card too: until then it turns this one away, which join takes for an answer. It fails (exit
code 1) if nothing answers, or if what answers is not the identity of the card.

Joining again is harmless: it renews the card.`,
		Example: `  # From a machine that reaches both.
  mcwanctl --context cluster-1 join cluster-2

  # From a machine that reaches cluster-1 only, with the card of cluster-2.
  mcwanctl --context cluster-1 join -f cluster-2.yaml

  # Import services of the other cluster into two namespaces only.
  mcwanctl --context cluster-1 join -f cluster-2.yaml --import-into=secure,shop`,
		Args: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.file != "") {
				return usagef("name either the other cluster's CONTEXT or its card by -f")
			}
			return atMostOne(nil, args)
		},
		ValidArgsFunction: a.completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file != "" {
				return a.joinFile(cmd.Context(), o)
			}
			return a.join(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVarP(&o.file, "filename", "f", "", "file with the other cluster's card; - is standard input")
	cmd.Flags().StringSliceVar(&o.namespaces, "import-into", nil, "namespaces of this cluster that the other's services may be imported into (default: all that are not protected)")
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait until the join has worked")
	addTimeout(cmd, &o.timeout, time.Minute, "how long to wait")
	return cmd
}

// side is one of the two clusters of a join.
type side struct {
	Access
	card v1alpha1.ClusterAdvertisementSpec
}

func openSide(ctx context.Context, clusters Clusters, context string) (side, error) {
	c, err := clusters.Open(context)
	if err != nil {
		return side{}, err
	}
	card, err := c.self(ctx)
	return side{Access: c, card: card.Spec}, err
}

// join joins two clusters of the kubeconfig: everything is checked before anything is written.
func (a *app) join(ctx context.Context, other string, o joinOptions) error {
	clusters := a.Open(a.kubeconfig)
	here, err := openSide(ctx, clusters, a.context)
	if err != nil {
		return err
	}
	there, err := openSide(ctx, clusters, other)
	if err != nil {
		return err
	}
	if err := checkJoin(ctx, here, there.card); err != nil {
		return err
	}
	if err := checkJoin(ctx, there, here.card); err != nil {
		return err
	}
	a.warnTrust(here.card, there.card)
	peer := peerOf(there.card)
	peer.Spec.Namespaces = o.namespaces
	if err := a.applyPeer(ctx, here, peer); err != nil {
		return err
	}
	if err := a.applyPeer(ctx, there, peerOf(here.card)); err != nil {
		return err
	}
	if !o.wait {
		return nil
	}
	waitHere := a.watchPeer(here, there.card.ClusterID, peerState)
	waitThere := a.watchPeer(there, here.card.ClusterID, peerState)
	err = a.until(ctx, o.timeout, func(ctx context.Context) (bool, string, error) {
		ok1, why1, err1 := waitHere(ctx)
		ok2, why2, err2 := waitThere(ctx)
		return ok1 && ok2, joinNonEmpty(why1, why2), errors.Join(err1, err2)
	})
	if err != nil {
		return fmt.Errorf("%s and %s do not read each other: %w; both keep trying, see: mcwanctl status", here.card.ClusterID, there.card.ClusterID, err)
	}
	a.say("%s and %s are joined", here.card.ClusterID, there.card.ClusterID)
	return nil
}

// joinFile does this cluster's side of a join.
func (a *app) joinFile(ctx context.Context, o joinOptions) error {
	here, err := openSide(ctx, a.Open(a.kubeconfig), a.context)
	if err != nil {
		return err
	}
	peer, err := a.readCard(o.file)
	if err != nil {
		return err
	}
	if len(o.namespaces) > 0 {
		peer.Spec.Namespaces = o.namespaces
	}
	card := cardOf(peer)
	if err := checkJoin(ctx, here, card); err != nil {
		return err
	}
	if err := a.applyPeer(ctx, here, peer); err != nil {
		return err
	}
	joinedThere := false
	if o.wait {
		if joinedThere, err = a.awaitAnswer(ctx, here, card.ClusterID, o.timeout); err != nil {
			return err
		}
	}
	if !joinedThere {
		a.say("now apply the card of %s in %s: mcwanctl --context %s card | kubectl --context %s apply -f -", here.card.ClusterID, card.ClusterID, here.Context, card.ClusterID)
	}
	return nil
}

// awaitAnswer waits until the peer answers as who it was pinned to be: by its feed, when it has joined this cluster too,
// or by turning this cluster away, when it has not yet.
func (a *app) awaitAnswer(ctx context.Context, here side, peerID string, timeout time.Duration) (joinedThere bool, err error) {
	err = a.until(ctx, timeout, a.watchPeer(here, peerID, func(peer *v1alpha1.Peer) (bool, string) {
		ok, text := peerState(peer)
		joinedThere = ok
		return ok || turnsUsAway(peer), text
	}))
	if err != nil {
		return false, fmt.Errorf("%s does not reach %s: %w; it keeps trying, see: mcwanctl --context %s status; to take the card back: mcwanctl --context %s leave %s",
			here.card.ClusterID, peerID, err, here.Context, here.Context, peerID)
	}
	if joinedThere {
		a.say("%s reads what %s exports", here.card.ClusterID, peerID)
	} else {
		a.say("%s answers; it has not joined %s yet", peerID, here.card.ClusterID)
	}
	return joinedThere, nil
}

// readCard reads a Peer as `mcwanctl card` prints it.
func (a *app) readCard(path string) (*v1alpha1.Peer, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(a.In)
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the card: %w", err)
	}
	var peer v1alpha1.Peer
	if err := yaml.UnmarshalStrict(data, &peer); err != nil {
		return nil, fmt.Errorf("%s is not a card: %w", path, err)
	}
	if peer.APIVersion != v1alpha1.GroupVersion().String() || peer.Kind != "Peer" || peer.Spec.ClusterID == "" {
		return nil, fmt.Errorf("%s is not a card: it must hold one Peer of %s, as `mcwanctl card` prints it", path, v1alpha1.GroupVersion())
	}
	return &peer, nil
}

// checkJoin says what keeps a cluster from being joined here: what the controller would say by a condition, and what it
// cannot see.
func checkJoin(ctx context.Context, here side, card v1alpha1.ClusterAdvertisementSpec) error {
	own := here.card
	if err := checkCard(card); err != nil {
		return err
	}
	var existing v1alpha1.PeerList
	if err := here.List(ctx, &existing, client.InNamespace(v1alpha1.Namespace)); err != nil {
		return here.explain("listing Peers", err)
	}
	candidate := peerOf(card)
	candidate.CreationTimestamp = metav1.NewTime(time.Now())
	peers := []v1alpha1.Peer{*candidate}
	for _, peer := range existing.Items {
		if peer.Name != candidate.Name {
			peers = append(peers, peer)
			continue
		}
		if uid := peer.Spec.ClusterUID; uid != "" && card.ClusterUID != "" && uid != card.ClusterUID {
			return fmt.Errorf("the id %s is taken: %s has joined another cluster by that name (uid %s); if that one is gone, run first: mcwanctl --context %s leave %s",
				card.ClusterID, own.ClusterID, uid, here.Context, card.ClusterID)
		}
	}
	self := translate.Cluster{ID: own.ClusterID, UID: own.ClusterUID, Identities: own.Identities, TrustDomain: translate.TrustDomainOf(own.Identities.Egress)}
	verdict := translate.ValidatePeers(self, peers)[candidate.Name]
	if verdict.Status != metav1.ConditionTrue {
		return fmt.Errorf("%s would not accept the card of %s: %s: %s", own.ClusterID, card.ClusterID, verdict.Reason, verdict.Message)
	}
	for _, address := range card.Addresses {
		if slices.Contains(own.Addresses, address) {
			return fmt.Errorf("the ingress gateways of %s and %s have the same address %s, so neither can reach the other: their pod networks must not overlap", own.ClusterID, card.ClusterID, address)
		}
	}
	return nil
}

// warnTrust warns where certificates of the two meshes may not verify each other. It is a warning because a mesh may
// trust more roots than the one it names.
func (a *app) warnTrust(here, there v1alpha1.ClusterAdvertisementSpec) {
	if here.TrustRoot != "" && there.TrustRoot != "" && here.TrustRoot != there.TrustRoot {
		a.say("warning: the meshes of %s and %s name different root certificates (%.12s and %.12s); they must trust a common one",
			here.ClusterID, there.ClusterID, here.TrustRoot, there.TrustRoot)
	}
}

// applyPeer writes a Peer. What the new card does not say stays as it is: which namespaces the peer may import into is
// never widened by joining again.
func (a *app) applyPeer(ctx context.Context, here side, peer *v1alpha1.Peer) error {
	var existing v1alpha1.Peer
	err := here.Get(ctx, client.ObjectKeyFromObject(peer), &existing)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return here.explain("reading Peer "+peer.Name, err)
	default:
		if len(peer.Spec.Namespaces) == 0 {
			peer.Spec.Namespaces = existing.Spec.Namespaces
		}
		if peer.Spec.ClusterUID == "" {
			peer.Spec.ClusterUID = existing.Spec.ClusterUID
		}
		if peer.Spec.Identities != existing.Spec.Identities {
			a.say("%s: the pinned identities of %s change from %s, %s to %s, %s", here.card.ClusterID, peer.Name,
				existing.Spec.Identities.Egress, existing.Spec.Identities.Ingress, peer.Spec.Identities.Egress, peer.Spec.Identities.Ingress)
		}
	}
	if err := apply(ctx, here.Access, peer); err != nil {
		return here.explain("writing Peer "+peer.Name, err)
	}
	a.say("%s: %s is a peer", here.card.ClusterID, peer.Name)
	return nil
}

// watchPeer looks whether a Peer is as it should be and tells the person when what it says changes.
func (a *app) watchPeer(here side, peerID string, look func(*v1alpha1.Peer) (bool, string)) func(context.Context) (bool, string, error) {
	told := ""
	return func(ctx context.Context) (bool, string, error) {
		var peer v1alpha1.Peer
		if err := here.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: peerID}, &peer); err != nil {
			return false, "", here.explain("reading Peer "+peerID, err)
		}
		done, state := look(&peer)
		if state != told {
			told = state
			a.say("%s: %s: %s", here.card.ClusterID, peerID, state)
		}
		return done, fmt.Sprintf("%s: %s: %s", here.card.ClusterID, peerID, state), nil
	}
}

func joinNonEmpty(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
