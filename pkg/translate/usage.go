// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Place is where a hop is: a gateway address and the port of a WAN policy.
type Place struct {
	Address string
	Port    int32
}

// UserFeed stands for the feeds of peers among the users of a hop.
const UserFeed = "feed"

// Usage tells who takes a hop first, by what is written: services as name/namespace, and UserFeed; sorted. Hops that come
// only when others fail have no users.
func Usage(routes []*networkingv1.VirtualService, paths []*networkingv1.ServiceEntry) map[Place][]string {
	first := map[string][]Place{}
	for _, path := range paths {
		if path.Labels[v1alpha1.LabelPart] == v1alpha1.PartPath {
			first[path.Name+"."+PathDomain] = firstPlaces(path)
		}
	}
	out := map[Place][]string{}
	for _, route := range routes {
		if route.Labels[v1alpha1.LabelPart] == v1alpha1.PartPath {
			continue // a path's own mention, see pathMention
		}
		for _, host := range hostsOf(route) {
			for _, place := range first[host] {
				if user := userOf(route); !slices.Contains(out[place], user) {
					out[place] = append(out[place], user)
				}
			}
		}
	}
	for place := range out {
		slices.Sort(out[place])
	}
	return out
}

// firstPlaces are the hops of the first rank that has any: those with the most rank labels, see rankLabels.
func firstPlaces(path *networkingv1.ServiceEntry) []Place {
	var out []Place
	most := -1
	for _, e := range path.Spec.Endpoints {
		if n := len(e.Labels); n > most {
			out, most = nil, n
		}
		if len(e.Labels) < most {
			continue
		}
		for _, port := range e.Ports {
			out = append(out, Place{Address: e.Address, Port: int32(port)})
		}
	}
	return out
}

// hostsOf are the hosts to which a route sends something.
func hostsOf(route *networkingv1.VirtualService) []string {
	var out []string
	for _, r := range route.Spec.Http {
		for _, d := range r.Route {
			if d.Weight > 0 || len(r.Route) == 1 {
				out = append(out, d.GetDestination().GetHost())
			}
		}
	}
	for _, r := range route.Spec.Tcp {
		for _, d := range r.Route {
			out = append(out, d.GetDestination().GetHost())
		}
	}
	return out
}

func userOf(route *networkingv1.VirtualService) string {
	if name := route.Labels[v1alpha1.LabelServiceName]; name != "" {
		return UserName(route.Labels[v1alpha1.LabelServiceNamespace], name)
	}
	return UserFeed
}

// UserName is a service among the users of a hop.
func UserName(namespace, name string) string { return name + "/" + namespace }

// HeadlessUsers are the users that are headless services: each of their routes leads to one endpoint.
func HeadlessUsers(routes []*networkingv1.VirtualService) []string {
	var out []string
	for _, route := range routes {
		if route.Labels[v1alpha1.LabelHostname] != "" {
			out = append(out, userOf(route))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
