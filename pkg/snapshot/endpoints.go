// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// EndpointPorts allocates the listener ports of the endpoints of a headless import, two per endpoint and TCP service port,
// and releases those of endpoints that are no longer there; see LegPorts. What is not in the table afterwards could not
// be had: endpoints leave as many ports to other imports as dummy Services do.
func EndpointPorts(table ports.Table, merged mcs.Merged, exports []v1alpha1.ServiceAdvertisementSpec, key types.NamespacedName) ports.Table {
	var wanted []ports.Key
	avoid := ports.Set{}
	for _, p := range merged.Ports {
		avoid[p.Port] = struct{}{}
	}
	for _, e := range translate.Endpoints(merged, exports) {
		for _, p := range translate.EndpointPorts(merged, e) {
			wanted = append(wanted, endpointKey(key, p.Port, e))
		}
	}
	table = table.Retain(key.Namespace, key.Name, func(k ports.Key) bool { return k.Endpoint == "" || slices.Contains(wanted, k) })
	for _, k := range wanted {
		if len(table.Get(k)) > 0 || table.Free() > portsForImports {
			// The only error is that nothing is left: the import says so.
			if next, _, err := table.Allocate(k, ports.PerLeg, avoid); err == nil {
				table = next
			}
		}
	}
	return table
}

func endpointKey(key types.NamespacedName, port int32, e translate.EndpointKey) ports.Key {
	return ports.Key{Namespace: key.Namespace, Name: key.Name, Port: port, Endpoint: e.String()}
}

// endpointStates are the addresses and listener ports that the endpoints of a headless import have.
func endpointStates(l Lister, merged mcs.Merged, exports []v1alpha1.ServiceAdvertisementSpec, key types.NamespacedName) map[translate.EndpointKey]translate.EndpointState {
	out := map[translate.EndpointKey]translate.EndpointState{}
	for _, e := range translate.Endpoints(merged, exports) {
		state := translate.EndpointState{
			VIPs:  vips(l.Service(v1alpha1.Namespace, translate.EndpointServiceName(key.Namespace, key.Name, e))),
			Ports: map[int32]translate.LegPorts{},
		}
		if len(state.VIPs) == 0 {
			state.Wanted = l.EndpointAddresses(key.Namespace, key.Name, e)
		}
		for _, p := range translate.EndpointPorts(merged, e) {
			if got := l.PortTable().Get(endpointKey(key, p.Port, e)); len(got) == ports.PerLeg {
				state.Ports[p.Port] = translate.LegPorts{Plain: got[0], MTLS: got[1]}
			}
		}
		out[e] = state
	}
	return out
}
