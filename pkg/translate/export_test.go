// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func exported() ExportInput {
	return ExportInput{
		Self: Cluster{ID: "c1"},
		Advertisement: v1alpha1.ServiceAdvertisementSpec{
			ClusterID: "c1", Namespace: "secure", Name: "payment", Type: "ClusterSetIP",
			Ports: []v1alpha1.AdvertisedPort{
				{Name: "tcp-db", Protocol: corev1.ProtocolTCP, Port: 5432},
				{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080},
				{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53},
			},
		},
		Policies: []v1alpha1.WANPolicy{aged(policy("high", 0), 1, 31111), aged(policy("low", 0), 2, 31112)},
	}
}

// A VirtualService without Gateways binds to every sidecar of the mesh.
func TestExportWithoutPoliciesIsNothing(t *testing.T) {
	in := exported()
	in.Policies = []v1alpha1.WANPolicy{aged(policy("bad", 0), 1, 15001)}
	if got := Export(in); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	for _, o := range Fleet(FleetInput{Self: in.Self, Policies: in.Policies}).Objects {
		if vs, ok := o.(*networkingv1.VirtualService); ok && len(vs.Spec.Gateways) == 0 {
			t.Errorf("%s has no Gateway", vs.Name)
		}
	}
}

func TestExportPinnedToItsOwnEndpoints(t *testing.T) {
	in := exported()
	for _, o := range Export(in) {
		if strings.Contains(describe(o), "subset") {
			t.Errorf("nothing to pin in %s", o.GetName())
		}
	}
	in.Self.FilterRemote = true
	objects := Export(in)
	dr, ok := objects[0].(*networkingv1.DestinationRule)
	if !ok || dr.Spec.Subsets[0].Labels["topology.istio.io/cluster"] != "c1" || dr.Spec.TrafficPolicy != nil {
		t.Fatalf("the subset comes first and leaves the traffic policy alone: %v", objects[0])
	}
	for _, vs := range virtualServices(objects) {
		if !strings.Contains(describe(vs), `"subset":"`+dr.Spec.Subsets[0].Name+`"`) {
			t.Errorf("%s is not pinned", vs.Name)
		}
	}
}

func TestFeedPath(t *testing.T) {
	byDefault := policy("low", 300)
	byDefault.Spec.Default = true
	policies := []v1alpha1.WANPolicy{policy("high", 100), byDefault}
	for _, tc := range []struct {
		name     string
		policies []v1alpha1.WANPolicy
		offers   []string
		want     string
	}{
		{"the default", policies, []string{"high", "low"}, "low"},
		{"the best that is offered", policies, []string{"other", "high"}, "high"},
		{"what is offered", policies, []string{"z", "other"}, "other"},
		{"no policy here", nil, []string{"z", "other"}, "other"},
		{"nothing known", policies, nil, "low"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cards := []v1alpha1.ClusterAdvertisementSpec{card("c2", []string{"10.2.0.1"}, tc.offers...)}
			if got, want := FeedPath("c2", tc.policies, cards), (PathKey{Policy: tc.want, Exporter: "c2"}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// A port that a policy had before is received on as long as it is said to be, for what is routed by name and by server name.
func TestFormerPortsAreReceivedOn(t *testing.T) {
	in := exported()
	in.FormerPorts = map[string][]int32{"low": {31113}}
	fleet := Fleet(FleetInput{Self: in.Self, Policies: in.Policies, FormerPorts: in.FormerPorts}).Objects
	got := map[string][]uint32{}
	for _, o := range append(Export(in), fleet...) {
		gw, ok := o.(*networkingv1.Gateway)
		if !ok {
			continue
		}
		for _, s := range gw.Spec.Servers {
			got[gw.Name] = append(got[gw.Name], s.Port.Number)
		}
		if gw.Name == PolicyGatewayName("low") && (len(FormerPorts(gw, in.Policies)) != 1 || FormerPorts(gw, in.Policies)[0] != 31113) {
			t.Errorf("former ports as they stand: %v", FormerPorts(gw, in.Policies))
		}
	}
	for name, want := range map[string][]uint32{
		PolicyGatewayName("high"): {31111}, PolicyGatewayName("low"): {31112, 31113}, ExportGatewayName("secure", "payment"): {31111, 31112, 31113},
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s receives on %v, want %v", name, got[name], want)
		}
	}
	standing := &networkingv1.Gateway{}
	for _, o := range fleet {
		if gw, ok := o.(*networkingv1.Gateway); ok && gw.Name == PolicyGatewayName("low") {
			standing = gw
		}
	}
	if taken := append(in.Policies, aged(policy("new", 0), 3, 31113)); len(FormerPorts(standing, taken)) != 0 {
		t.Error("a port that another policy has now is no former one")
	}
}
