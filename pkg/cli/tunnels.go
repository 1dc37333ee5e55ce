// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// TunnelLine is one way to a peer: a gateway address on a policy's port. `tunnels -o json` prints a list of them.
type TunnelLine struct {
	Peer    string            `json:"peer"`
	Policy  string            `json:"policy"`
	Tunnel  string            `json:"tunnel,omitempty"`
	Address string            `json:"address"`
	Port    int32             `json:"port"`
	State   v1alpha1.HopState `json:"state"`
	Reason  string            `json:"reason,omitempty"`
	// The figures are missing while nothing has answered.
	RTTMs       *int32   `json:"rttMs,omitempty"`
	JitterMs    *int32   `json:"jitterMs,omitempty"`
	LossPercent *float64 `json:"lossPercent,omitempty"`
	// SLA is this cluster's service level for the policy.
	SLA   *v1alpha1.SLA `json:"sla,omitempty"`
	Since *metav1.Time  `json:"since,omitempty"`
	// Drained says that traffic is kept off it by spec.drain of the Peer or the WANPolicy.
	Drained bool `json:"drained,omitempty"`
	// UsedBy are the services (name/namespace) whose requests take it first, and "feed"; others take it when theirs fails.
	UsedBy []string `json:"usedBy"`
}

func newTunnelsCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tunnels [PEER]",
		Short: "Show the tunnels to the peers: state, round trip, jitter, loss, service level",
		Long: `tunnels shows every way to the peers, or to one: each of a peer's gateway addresses on each WAN
policy's port, as this cluster's controller measures it. States are Healthy, Degraded (not within
the policy's service level, so used after others), Dead (not used) and Unknown; "drained" are those
that drain keeps traffic off. USED BY are the services whose requests take the tunnel now; others
take it when theirs fails. See docs/tunnels.md.

A peer's figures are written when the state of one of its tunnels changes; else every 30 s at most,
and only if one of them has moved by more than a fifth and by more than 2 ms or 0.2 percentage
points. The controller's metrics mcwan_hop_* have them as they are. While the prober is in doubt
about a peer (its condition HopsHealthy has the reason ProbeBroken) the states are those that are
acted on, from before the doubt.

With --watch, -o json and -o yaml print the whole list again for each change: JSON one list after
the other, YAML one document each, with --- between them.

It fails (exit code 1) if there is no such peer.`,
		Example: `  mcwanctl --context cluster-1 tunnels

  # As things happen.
  mcwanctl tunnels cluster-2 --watch

  # As things happen, for a program.
  mcwanctl tunnels cluster-2 --watch -o json`,
		Args:              atMostOne,
		ValidArgsFunction: a.completePeers,
	}
	output := a.addFormat(cmd, formatTable, formatJSON, formatYAML)
	watch := cmd.Flags().BoolP("watch", "w", false, "go on and print it again whenever it changes, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.tunnels(cmd.Context(), strings.Join(args, ""), output.value, *watch)
	}
	return cmd
}

func (a *app) tunnels(ctx context.Context, peer, output string, watch bool) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	read := func() (string, error) {
		facts, err := gatherTunnels(ctx, c)
		if err != nil {
			return "", err
		}
		return tunnelsText(facts, peer, output)
	}
	text, err := read()
	if err == nil {
		_, err = fmt.Fprint(a.Out, text)
	}
	if err != nil || !watch {
		return err
	}
	return a.watchTunnels(ctx, text, output, read)
}

// watchTunnels prints again what has changed until it is interrupted. What cannot be read meanwhile is told, once.
func (a *app) watchTunnels(ctx context.Context, last, output string, read func() (string, error)) error {
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(a.Poll):
		}
		text, err := read()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if err.Error() != told {
				a.say("%s; trying again", err)
				told = err.Error()
			}
			continue
		case text == last:
			continue
		}
		last, told = text, ""
		if _, err := fmt.Fprint(a.Out, between(output)+text); err != nil {
			return err
		}
	}
}

// between is what stands between two prints of a watch. JSON needs nothing there: every reader of it knows where a value ends.
func between(output string) string {
	switch output {
	case formatTable:
		return "\n"
	case formatYAML:
		return "---\n"
	default:
		return ""
	}
}

// tunnelFacts is what is read of a cluster for its tunnels.
type tunnelFacts struct {
	clusterFacts
	usage map[translate.Place][]string
	// headless are the users whose routes lead to endpoints of headless services.
	headless []string
}

func gatherTunnels(ctx context.Context, c Access) (tunnelFacts, error) {
	facts, err := gatherCluster(ctx, c)
	if err != nil {
		return tunnelFacts{}, err
	}
	var routes networkingv1.VirtualServiceList
	var paths networkingv1.ServiceEntryList
	for what, list := range map[string]client.ObjectList{"VirtualServices": &routes, "ServiceEntries": &paths} {
		if err := c.List(ctx, list, client.InNamespace(v1alpha1.Namespace), client.HasLabels{v1alpha1.LabelPart}); err != nil {
			return tunnelFacts{}, c.explain("listing "+what, err)
		}
	}
	return tunnelFacts{clusterFacts: facts, usage: translate.Usage(routes.Items, paths.Items), headless: translate.HeadlessUsers(routes.Items)}, nil
}

// stateText is the state of a tunnel, and whether it is drained.
func stateText(l TunnelLine) string {
	if l.Drained {
		return string(l.State) + ", drained"
	}
	return string(l.State)
}

// shownUsers are named in the table; the rest is counted.
const shownUsers = 2

func usersText(users []string) string {
	if len(users) <= shownUsers {
		return strings.Join(users, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(users[:shownUsers], ", "), len(users)-shownUsers)
}

// tunnelsText is what is printed of the tunnels to a peer, or to all if none is named.
func tunnelsText(f tunnelFacts, peer, output string) (string, error) {
	if peer != "" && !slices.ContainsFunc(f.peers, func(p v1alpha1.Peer) bool { return p.Spec.ClusterID == peer }) {
		return "", fmt.Errorf("there is no peer %q here; see: mcwanctl status", peer)
	}
	lines := tunnelLines(f, peer)
	var out bytes.Buffer
	if output != formatTable {
		err := encode(&out, output, lines)
		return out.String(), err
	}
	var rows [][]string
	for _, l := range lines {
		rows = append(rows, []string{
			l.Peer, l.Policy, l.Tunnel, fmt.Sprintf("%s:%d", bracketed(l.Address), l.Port), stateText(l), l.Reason,
			unit(l.RTTMs, " ms"), unit(l.JitterMs, " ms"), unit(l.LossPercent, " %"), slaText(l.SLA), sinceText(l.Since), usersText(l.UsedBy),
		})
	}
	if len(rows) == 0 {
		return "no tunnels: no peer is joined, or none has told its gateways; see: mcwanctl status\n", nil
	}
	header := []string{"PEER", "POLICY", "TUNNEL", "GATEWAY", "STATE", "REASON", "RTT", "JITTER", "LOSS", "SLA", "SINCE", "USED BY"}
	err := table(&out, header, rows)
	return out.String(), err
}

// tunnelLines are the hops of the peers, by peer, policy and address.
func tunnelLines(f tunnelFacts, peer string) []TunnelLine {
	out := []TunnelLine{}
	for _, p := range f.peers {
		if peer != "" && p.Spec.ClusterID != peer {
			continue
		}
		for _, h := range p.Status.Hops {
			out = append(out, TunnelLine{
				Peer: p.Spec.ClusterID, Policy: h.Policy, Tunnel: h.Tunnel, Address: h.Address, Port: h.Port,
				State: cmp.Or(h.State, v1alpha1.HopUnknown), Reason: h.Reason,
				RTTMs: h.RTTMs, JitterMs: h.JitterMs, LossPercent: h.LossPercent, SLA: slaOf(h.Policy, f.policies), Since: h.Since,
				Drained: h.Drained, UsedBy: append([]string{}, f.usage[translate.Place{Address: h.Address, Port: h.Port}]...),
			})
		}
	}
	slices.SortFunc(out, func(a, b TunnelLine) int {
		return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
	return out
}

func slaOf(policy string, policies []v1alpha1.WANPolicy) *v1alpha1.SLA {
	for i := range policies {
		if policies[i].Name == policy {
			return policies[i].Spec.SLA
		}
	}
	return nil
}

// slaText is a service level in the order of the figures before it: round trip, jitter, loss.
func slaText(sla *v1alpha1.SLA) string {
	if sla == nil {
		return ""
	}
	var parts []string
	for _, part := range []string{unit(sla.LatencyMs, " ms"), unit(sla.JitterMs, " ms"), unit(sla.LossPercent, " %")} {
		if part == "" {
			part = "any"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func unit[T int32 | float64](v *T, name string) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v) + name
}

func sinceText(t *metav1.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// bracketed is an address as it stands before a port.
func bracketed(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}
