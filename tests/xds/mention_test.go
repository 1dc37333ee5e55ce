// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"slices"
	"strings"
	"testing"

	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/test"
)

// Where gateways hold only the clusters that VirtualServices name, a path is there before the first and after the last
// leg routes to it, and the feed's listener, which names it, does not route to it.
func TestPathsStandWithoutLegs(t *testing.T) {
	test.SetForTest(t, &features.FilterGatewayClusterConfig, true)
	for _, name := range []string{"two-exporters", "warm"} {
		t.Run(name, func(t *testing.T) { pathsStandWithoutLegs(t, name) })
	}
}

func pathsStandWithoutLegs(t *testing.T, name string) {
	rendered := slices.DeleteFunc(documents(t, goldens, name, "out.yaml"), func(d document) bool {
		return d.Kind == "VirtualService" && strings.HasPrefix(d.Metadata.Name, "egress-")
	})
	p := startWith(t, documents(t, goldens, name, "in.yaml"), rendered).egress()
	var want []string
	for _, d := range rendered {
		if d.Kind == "ServiceEntry" && strings.HasPrefix(d.Metadata.Name, "path-") {
			want = append(want, d.Metadata.Name)
		}
	}
	if len(want) < 4 {
		t.Fatalf("only %d paths in the case", len(want))
	}
	clusters := xdstest.ExtractClusters(p.sim.Clusters)
	for _, path := range want {
		host := path + ".wan.mcw.internal"
		if !slices.ContainsFunc(xdstest.MapKeys(clusters), func(c string) bool { return strings.HasSuffix(c, "||"+host) }) {
			t.Errorf("no cluster for %s", path)
		}
		got := p.sim.Run(mtls(9443, simulation.HTTP2, host, "outbound_.9443_._.mcw-egress.mc-wan.svc.cluster.local"))
		if got.ClusterMatched != "" {
			t.Errorf("Host %s at the feed's listener leads to %s", host, got.ClusterMatched)
		}
	}
}
