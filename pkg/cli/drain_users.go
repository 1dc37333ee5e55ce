// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// usersOf are those who take one of the ways first and have to leave it. A peer's feed leads to that peer only, and so do
// the endpoints of its headless services by their own names: where all its ways are drained they stay on them.
func usersOf(ctx context.Context, c Access, w ways) ([]string, error) {
	facts, err := gatherTunnels(ctx, c)
	if err != nil {
		return nil, err
	}
	var chosen map[string][]string
	if len(facts.headless) > 0 {
		if chosen, err = chosenEndpoints(ctx, c); err != nil {
			return nil, err
		}
	}
	var out []string
	lines := tunnelLines(facts, "")
	for _, l := range lines {
		if !w.has(l) {
			continue
		}
		elsewhere := slices.ContainsFunc(lines, func(o TunnelLine) bool {
			return o.Peer == l.Peer && !w.has(o) && !o.Drained && o.State != v1alpha1.HopDead
		})
		for _, user := range l.UsedBy {
			bound := user == translate.UserFeed || slices.Contains(facts.headless, user) && !slices.Contains(chosen[user], l.Peer)
			if elsewhere || !bound {
				out = append(out, user)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// chosenEndpoints are the clusters whose endpoints a headless service's name stands for, by the service as it is named
// among users; of services with an address they are the clusters that export them, which nobody asks for.
func chosenEndpoints(ctx context.Context, c Access) (map[string][]string, error) {
	var list discoveryv1.EndpointSliceList
	if err := c.List(ctx, &list, client.MatchingLabels{discoveryv1.LabelManagedBy: v1alpha1.ValueManagedBy}); err != nil {
		return nil, c.explain("listing EndpointSlices", err)
	}
	out := map[string][]string{}
	for i := range list.Items {
		slice := &list.Items[i]
		if cluster := slice.Labels[mcsv1beta1.LabelSourceCluster]; cluster != "" {
			user := translate.UserName(slice.Namespace, slice.Labels[mcsv1beta1.LabelServiceName])
			out[user] = append(out[user], cluster)
		}
	}
	return out, nil
}
