// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// everyPolicy in Peer.spec.drain stands for all policies.
const everyPolicy = "*"

func newDrainCmd(a *app) *cobra.Command {
	var policy string
	var o drainOptions
	cmd := &cobra.Command{
		Use:   "drain [PEER] [--wan-policy POLICY]",
		Short: "Take traffic off a peer or a tunnel, as before maintenance",
		Long: `drain asks this cluster's controller to send nothing to PEER, or nothing over POLICY's tunnel, or,
with both, nothing to PEER over that tunnel, while another way serves. New requests and connections
take the other ways at once; those under way end where they began. Where nothing else lives the
drained way is still used: a drain makes no request fail.

It writes spec.drain of the Peer, or of the WANPolicy, and waits until nobody uses the drained ways
any more. It fails (exit code 1) if somebody still does after --timeout. The drain stays until it is
taken back by undrain. A peer whose ways are all drained is still asked what it exports, over them.

With --end-connections the pods of this cluster's egress gateways are then replaced, as by kubectl
rollout restart, so that connections, streams and requests that are still open end as well. The pods
are replaced one after the other, so the last connections end after the start-ups of all new pods,
each of which may take --timeout, and the grace period of a pod (the chart's gateways.drain). It
ends those on other ways too; clients that connect again are served by the new pods.`,
		Example: `  # Before maintenance of cluster-2.
  mcwanctl --context cluster-1 drain cluster-2

  # Before maintenance of a tunnel, to all peers.
  mcwanctl --context cluster-1 drain --wan-policy=high

  # The same, and what is open on it ends too.
  mcwanctl --context cluster-1 drain --wan-policy=high --end-connections`,
		Args:              atMostOne,
		ValidArgsFunction: a.completePeers,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.drain(cmd.Context(), strings.Join(args, ""), policy, o)
		},
	}
	cmd.Flags().StringVar(&policy, "wan-policy", "", "WANPolicy whose tunnel is meant, or a unique ending of its name")
	addTimeout(cmd, &o.timeout, 30*time.Second, "how long to wait until nobody uses it; 0 does not wait")
	cmd.Flags().BoolVar(&o.endConnections, "end-connections", false, "replace the egress gateways once nobody uses it, so that open connections end too")
	a.complete(cmd, "wan-policy", a.completePolicies)
	return cmd
}

// drainOptions say how far a drain goes.
type drainOptions struct {
	// timeout is how long to wait until nobody uses what is drained; 0 does not wait.
	timeout time.Duration
	// endConnections ends what is open then.
	endConnections bool
}

func newUndrainCmd(a *app) *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use:   "undrain [PEER] [--wan-policy POLICY]",
		Short: "Let traffic back on a peer or a tunnel",
		Long: `undrain takes back what drain with the same arguments asked for. PEER alone takes back all drains of
the peer; a drain of a tunnel to all peers is one of its own. What else still drains the same ways
is named, with the command that takes it back.`,
		Example: `  mcwanctl --context cluster-1 undrain cluster-2

  mcwanctl --context cluster-1 undrain --wan-policy=high`,
		Args:              atMostOne,
		ValidArgsFunction: a.completePeers,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.undrain(cmd.Context(), strings.Join(args, ""), policy)
		},
	}
	cmd.Flags().StringVar(&policy, "wan-policy", "", "WANPolicy whose tunnel is meant, or a unique ending of its name")
	a.complete(cmd, "wan-policy", a.completePolicies)
	return cmd
}

// ways are what a drain is about: a peer, a policy's tunnel, or one to the other.
type ways struct {
	peer   *v1alpha1.Peer
	policy *v1alpha1.WANPolicy
}

func (w ways) String() string {
	switch {
	case w.peer == nil:
		return "WANPolicy " + w.policy.Name
	case w.policy == nil:
		return "peer " + w.peer.Name
	default:
		return fmt.Sprintf("peer %s over %s", w.peer.Name, w.policy.Name)
	}
}

// has tells whether a tunnel is one of the ways.
func (w ways) has(l TunnelLine) bool {
	return (w.peer == nil || w.peer.Spec.ClusterID == l.Peer) && (w.policy == nil || w.policy.Name == l.Policy)
}

// exist fails where there is no tunnel of the policy to the peer: to drain it would do nothing.
func (w ways) exist(ctx context.Context, c Access) error {
	if w.peer == nil || w.policy == nil || slices.ContainsFunc(w.peer.Status.Hops, func(h v1alpha1.HopStatus) bool { return h.Policy == w.policy.Name }) {
		return nil
	}
	offers, err := offeredBy(ctx, c, *w.peer)
	if err != nil || slices.Contains(offers, w.policy.Name) {
		return err
	}
	return fmt.Errorf("peer %s does not offer WANPolicy %s; those that it offers %s", w.peer.Name, w.policy.Name, areThere(offers))
}

// offeredBy are the policies of a peer: of its card, or of its Peer while no card has been read.
func offeredBy(ctx context.Context, c Access, peer v1alpha1.Peer) ([]string, error) {
	offers := peer.Spec.Bootstrap.Policies
	key := types.NamespacedName{Namespace: v1alpha1.Namespace, Name: peer.Spec.ClusterID}
	card, err := getOrNil(ctx, c, key, &v1alpha1.ClusterAdvertisement{})
	if card != nil {
		offers = card.Spec.Policies
	}
	var out []string
	for _, o := range offers {
		out = append(out, o.Name)
	}
	slices.Sort(out)
	return out, err
}

// findWays reads what the arguments name.
func (a *app) findWays(ctx context.Context, c Access, peer, policy string) (ways, error) {
	var w ways
	if peer == "" && policy == "" {
		return w, usagef("name a PEER, a WANPolicy by --wan-policy, or both")
	}
	if policy != "" {
		all, err := policies(ctx, c)
		if err != nil {
			return w, err
		}
		found, err := findPolicy(all, policy)
		if err != nil {
			return w, err
		}
		w.policy = &found
	}
	if peer != "" {
		var list v1alpha1.PeerList
		if err := c.List(ctx, &list, client.InNamespace(v1alpha1.Namespace)); err != nil {
			return w, c.explain("listing Peers", err)
		}
		i := slices.IndexFunc(list.Items, func(p v1alpha1.Peer) bool { return p.Name == peer })
		if i < 0 {
			return w, a.notJoined(ctx, c, peer)
		}
		w.peer = &list.Items[i]
	}
	return w, nil
}

func (a *app) drain(ctx context.Context, peer, policy string, o drainOptions) error {
	if o.endConnections && o.timeout == 0 {
		return usagef("--end-connections waits until nobody uses the drained ways: give it a --timeout")
	}
	c, err := a.open()
	if err != nil {
		return err
	}
	w, err := a.findWays(ctx, c, peer, policy)
	if err != nil {
		return err
	}
	if err := w.exist(ctx, c); err != nil {
		return err
	}
	changed, err := a.setDrain(ctx, c, w, withDrain, true)
	if err != nil {
		return err
	}
	switch {
	case !changed:
		a.say("%s was to be drained already", w)
	case o.timeout == 0:
		a.say("%s is to be drained", w)
	}
	if o.timeout == 0 {
		return nil
	}
	if err := a.until(ctx, o.timeout, func(ctx context.Context) (bool, string, error) {
		users, err := usersOf(ctx, c, w)
		if err != nil {
			return false, "", err
		}
		return len(users) == 0, fmt.Sprintf("%s is still used by %s: is there another way?", w, usersText(users)), nil
	}); err != nil {
		return err
	}
	a.say("%s is drained: nobody uses it", w)
	if !o.endConnections {
		return nil
	}
	if err := a.endConnections(ctx, c, o.timeout); err != nil {
		return err
	}
	a.say("connections of before have ended")
	return nil
}

func (a *app) undrain(ctx context.Context, peer, policy string) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	w, err := a.findWays(ctx, c, peer, policy)
	if err != nil {
		return err
	}
	if w.peer != nil && w.policy != nil && slices.Contains(w.peer.Spec.Drain, everyPolicy) {
		return fmt.Errorf("all ways to peer %s are drained, not only %s; take that back by: mcwanctl undrain %s", w.peer.Name, w.policy.Name, w.peer.Name)
	}
	others, err := otherDrains(ctx, c, w) // before anything is written: what is done can then be told in full
	if err != nil {
		return err
	}
	changed, err := a.setDrain(ctx, c, w, withoutDrain, false)
	if err != nil {
		return err
	}
	done := "is no longer drained"
	if !changed {
		done = "was not drained"
	}
	if len(others) > 0 {
		done += ", but " + strings.Join(others, "\nand ")
	}
	a.say("%s %s", w, done)
	return nil
}

// withDrain adds a policy's name, or "*", to a Peer's list.
func withDrain(names []string, name string) []string {
	switch {
	case slices.Contains(names, everyPolicy) || slices.Contains(names, name):
		return names
	case name == everyPolicy:
		return []string{everyPolicy}
	default:
		return append(names, name)
	}
}

// withoutDrain takes a policy's name out of a Peer's list; "*" takes all out.
func withoutDrain(names []string, name string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return name == everyPolicy || n == name })
}

// otherDrains say what else drains some of the ways, and how that is taken back: a WANPolicy drains its tunnel to a peer
// whatever the Peer says, and the other way round.
func otherDrains(ctx context.Context, c Access, w ways) ([]string, error) {
	var out []string
	if w.peer == nil {
		var list v1alpha1.PeerList
		if err := c.List(ctx, &list, client.InNamespace(v1alpha1.Namespace)); err != nil {
			return nil, c.explain("listing Peers", err)
		}
		for _, p := range list.Items {
			switch {
			case slices.Contains(p.Spec.Drain, everyPolicy):
				out = append(out, fmt.Sprintf("Peer %s drains all tunnels to it: mcwanctl undrain %s", p.Name, p.Name))
			case slices.Contains(p.Spec.Drain, w.policy.Name):
				out = append(out, fmt.Sprintf("Peer %s drains this tunnel to it: mcwanctl undrain %s --wan-policy=%s", p.Name, p.Name, w.policy.Name))
			}
		}
		return out, nil
	}
	all, err := policies(ctx, c)
	for _, p := range all {
		if p.Spec.Drain && (w.policy == nil || w.policy.Name == p.Name) {
			out = append(out, fmt.Sprintf("WANPolicy %s drains its tunnel to all peers: mcwanctl undrain --wan-policy=%s", p.Name, p.Name))
		}
	}
	return out, err
}

// setDrain writes the wish: edit changes a Peer's list by a policy's name or "*", whole is what a WANPolicy gets. Where that
// stands there already, changed is false.
func (a *app) setDrain(ctx context.Context, c Access, w ways, edit func(names []string, name string) []string, whole bool) (changed bool, err error) {
	if w.peer == nil {
		if w.policy.Spec.Drain == whole {
			return false, nil
		}
		before := w.policy.DeepCopy()
		w.policy.Spec.Drain = whole
		if err := c.Patch(ctx, w.policy, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return false, c.explain("writing WANPolicy "+w.policy.Name, err)
		}
		return true, nil
	}
	name := everyPolicy
	if w.policy != nil {
		name = w.policy.Name
	}
	before := w.peer.DeepCopy()
	w.peer.Spec.Drain = edit(w.peer.Spec.Drain, name)
	if slices.Equal(before.Spec.Drain, w.peer.Spec.Drain) {
		return false, nil
	}
	if err := c.Patch(ctx, w.peer, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return false, c.explain("writing Peer "+w.peer.Name, err)
	}
	return true, nil
}
