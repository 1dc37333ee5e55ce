// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// A path that stands is used by nobody: who uses it is whose routes lead to it, and its own mention is none.
func TestUsersOfHopsAreThoseWhoseRoutesLeadThere(t *testing.T) {
	key := PathKey{Policy: "high", Exporter: "c2"}
	in := PathInput{
		Self: Cluster{ID: "c1"}, Key: key, Policies: []v1alpha1.WANPolicy{aged(policy("high", 0), 1, 31111), aged(policy("low", 0), 2, 31112)},
		Cards: []v1alpha1.ClusterAdvertisementSpec{{
			ClusterID: "c2", Addresses: []string{"10.2.0.1"},
			Policies: []v1alpha1.OfferedPolicy{{Name: "high", Tunnel: "business", Port: 31111}, {Name: "low", Tunnel: "default", Port: 31112}},
		}},
	}
	var routes []*networkingv1.VirtualService
	var paths []*networkingv1.ServiceEntry
	for _, o := range Path(in) {
		switch o := o.(type) {
		case *networkingv1.VirtualService:
			routes = append(routes, o)
		case *networkingv1.ServiceEntry:
			paths = append(paths, o)
		}
	}
	if got := Usage(routes, paths); len(got) != 0 {
		t.Errorf("a path that nobody routes to is used: %v", got)
	}
	route := routes[0].DeepCopy()
	route.Labels = map[string]string{v1alpha1.LabelServiceName: "payment", v1alpha1.LabelServiceNamespace: "secure"}
	got := Usage(append(routes, route), paths)
	if users := got[Place{"10.2.0.1", 31111}]; len(got) != 1 || len(users) != 1 || users[0] != "payment/secure" {
		t.Errorf("users of hops: %v", got)
	}
}
