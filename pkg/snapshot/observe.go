// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// ObservedPorts are the leg ports that a live derived or dummy Service of an import uses: what LegPorts, EndpointPorts and
// DummyPorts allocated for it, for the repair of a table that was lost.
func ObservedPorts(key types.NamespacedName, service *corev1.Service) []ports.Observation {
	policy, endpoint := service.Labels[v1alpha1.LabelPolicy], translate.EndpointOf(service)
	legs := translate.LegPortsOf(service)
	var out []ports.Observation
	for _, port := range slices.Sorted(maps.Keys(legs)) {
		o := ports.Observation{Key: portKey(key, port), Ports: []int32{legs[port].Plain, legs[port].MTLS}}
		switch {
		case policy != "":
			o.Key, o.Ports = dummyKey(key, port, policy), o.Ports[:1]
		case !endpoint.IsZero():
			o.Key = endpointKey(key, port, endpoint)
		}
		out = append(out, o)
	}
	return out
}
