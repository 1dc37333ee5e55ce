// SPDX-License-Identifier: Apache-2.0

package translate

import (
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
)

// tcpObjects are the listeners of a TCP leg and the route to its own path, in which the exporters share by endpoint
// weights: a weight in the VirtualService would reset the leg's connections when it changes.
func (l leg) tcpObjects() ([]Object, []PathKey) {
	if l.policy == "" {
		return nil, nil
	}
	path := PathKey{Policy: l.policy, TCP: l.wire(), Failover: l.override(l.policy)}
	servers := []*networkingv1alpha3.Server{server("tcp", protocolTCP, l.listeners.Plain, false)}
	if !l.dummy {
		servers = append(servers, server("tls", protocolTLS, l.listeners.MTLS, true))
	}
	gateway := l.gateway(servers...)
	vs := &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: l.meta(),
		Spec: networkingv1alpha3.VirtualService{
			Hosts:    []string{"*"},
			Gateways: []string{inNamespace(l.objectName())},
			ExportTo: onlyHere(),
			Tcp:      []*networkingv1alpha3.TCPRoute{tcpRoute(PathHost(path), tcpPathPort)},
		},
	}
	return []Object{gateway, vs}, []PathKey{path}
}

func tcpRoute(host string, port uint32) *networkingv1alpha3.TCPRoute {
	return &networkingv1alpha3.TCPRoute{
		Route: []*networkingv1alpha3.RouteDestination{{Destination: destination(host, port)}},
	}
}
