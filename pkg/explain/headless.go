// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"

	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

func (e *explanation) headless() bool { return e.in.Merged.Type == mcsv1beta1.Headless }

// endpoints are those of a headless service that the service's name stands for and that have the port: of clusters that
// leave only where there are no others, and rather of those that are drained than of those that are about to go. The client
// chooses among them.
func (e *explanation) endpoints() []translate.EndpointKey {
	var staying, drained, draining []translate.EndpointKey
	for _, endpoint := range translate.Endpoints(e.in.Merged, e.in.Exports) {
		goes := func(x v1alpha1.ServiceAdvertisementSpec) bool { return x.ClusterID == endpoint.Cluster && x.Draining }
		switch {
		case !slices.Contains(e.port.Clusters, endpoint.Cluster):
		case slices.ContainsFunc(e.in.Exports, goes):
			draining = append(draining, endpoint)
		case slices.Contains(e.in.Drained, endpoint.Cluster):
			drained = append(drained, endpoint)
		default:
			staying = append(staying, endpoint)
		}
	}
	for _, named := range [][]translate.EndpointKey{staying, drained} {
		if len(named) > 0 {
			return named
		}
	}
	return draining
}

// endpointObjects are those of this cluster that lead to the endpoints.
func (e *explanation) endpointObjects() {
	for _, endpoint := range e.endpoints() {
		leg := translate.EndpointLegName(e.key.Namespace, e.key.Name, e.port.Port, endpoint)
		e.Objects = append(e.Objects,
			fmt.Sprintf("Service %s/%s", v1alpha1.Namespace, translate.EndpointServiceName(e.key.Namespace, e.key.Name, endpoint)),
			fmt.Sprintf("Gateway.networking.istio.io %s/%s", v1alpha1.Namespace, leg),
			fmt.Sprintf("VirtualService.networking.istio.io %s/%s", v1alpha1.Namespace, leg))
	}
}
