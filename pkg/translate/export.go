// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

const (
	// headerRatelimited is the mark by which the egress gateway knows an answer of the ingress gateway itself that says
	// "no backend here" (envoyfilters.go): it tries another hop. The ingress gateway takes it off what applications answer:
	// theirs is no such mark. The egress gateway takes it off the answer that is left when nobody has a backend.
	headerRatelimited = "x-envoy-ratelimited"

	// portValue is the listener's port: that of the WAN policy over which the request came.
	portValue = "%DOWNSTREAM_LOCAL_PORT%"

	// subsetLocal are this cluster's own endpoints of an exported service.
	subsetLocal = "local"
	// labelIstioCluster is on every endpoint that istiod reads, whichever cluster it reads it from.
	labelIstioCluster = "topology.istio.io/cluster"
)

// Export is the way from the ingress gateway to an exported service: a VirtualService per HTTP port by wire name, on the
// Gateways of all policies (the sender chooses the tunnel), and for TCP ports a Gateway with one TLS server per port and
// policy, told apart by server name, with a VirtualService each. The same for each endpoint of a headless service. Nothing
// while there is no usable policy: a VirtualService without a Gateway would bind to the whole mesh.
func Export(in ExportInput) []Object {
	policies := UsablePolicies(in.Policies)
	if len(policies) == 0 {
		return nil
	}
	e := export{in: in, policies: policies}
	var out []Object
	if in.Self.FilterRemote {
		out = append(out, e.localSubset())
	}
	ways := []way{{}}
	for _, b := range e.backends() {
		out = append(out, b.objects...)
		ways = append(ways, b.way)
	}
	var tcp []WireKey
	var routes []Object
	for _, w := range ways {
		for _, p := range e.ports() {
			wire := e.wire(p.Port, w)
			if isHTTP(p) {
				routes = append(routes, e.httpRoute(wire, p, e.destination(wire.Port, w)))
			} else {
				tcp = append(tcp, wire)
				routes = append(routes, e.tcpRoute(wire, e.destination(wire.Port, w)))
			}
		}
	}
	if len(tcp) > 0 {
		out = append(out, e.tcpGateway(tcp))
	}
	return append(out, routes...)
}

type export struct {
	in       ExportInput
	policies []v1alpha1.WANPolicy
}

// ports are the ports that a gateway can carry, by number.
func (e export) ports() []mcsv1beta1.ServicePort {
	var out []mcsv1beta1.ServicePort
	for _, p := range e.in.Advertisement.Ports {
		if mcs.Carried(p.Protocol) {
			out = append(out, advertisedPort(p))
		}
	}
	slices.SortFunc(out, func(a, b mcsv1beta1.ServicePort) int { return cmp.Compare(a.Port, b.Port) })
	return out
}

func advertisedPort(p v1alpha1.AdvertisedPort) mcsv1beta1.ServicePort {
	return mcsv1beta1.ServicePort{Name: p.Name, Protocol: p.Protocol, AppProtocol: p.AppProtocol, Port: p.Port}
}

// way is what a route leads to: one endpoint of a headless service, or, as the zero value, the service as a whole.
type way struct {
	endpoint EndpointKey
	// service is the Service in mc-wan that stands for the endpoint.
	service string
}

func (e export) wire(port int32, w way) WireKey {
	return WireKey{Namespace: e.in.Advertisement.Namespace, Name: e.in.Advertisement.Name, Port: port, Endpoint: w.endpoint}
}

// virtualService is the VirtualService of one port, under its host, on the given Gateways.
func (e export) virtualService(wire WireKey, host string, gateways ...string) *networkingv1.VirtualService {
	meta := oursFor(ExportName(wire), v1alpha1.PartExport, wire.Namespace, wire.Name)
	labelEndpoint(meta.Labels, wire.Endpoint)
	return &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: meta,
		Spec: networkingv1alpha3.VirtualService{
			Hosts:    []string{host},
			Gateways: gateways,
			ExportTo: onlyHere(),
		},
	}
}

// destination is the port of the local Service, or of the Service that stands for one endpoint.
func (e export) destination(port int32, w way) *networkingv1alpha3.Destination {
	if w.service != "" {
		return destination(LocalHost(w.service, v1alpha1.Namespace), uint32(port))
	}
	d := destination(LocalHost(e.in.Advertisement.Name, e.in.Advertisement.Namespace), uint32(port))
	if e.in.Self.FilterRemote {
		d.Subset = subsetLocal
	}
	return d
}

// httpRoute is the way of one HTTP port. Where the owner has rules for it, what none of them matches is denied: a consumer
// may choose tunnels for itself, but not what may be asked.
func (e export) httpRoute(wire WireKey, port mcsv1beta1.ServicePort, to *networkingv1alpha3.Destination) Object {
	vs := e.virtualService(wire, WireName(wire), policyGateways(e.policies)...)
	rules := ownerRules(e.in).forPort(port)
	if len(rules) == 0 {
		vs.Spec.Http = []*networkingv1alpha3.HTTPRoute{toBackend(wire, to)}
		return vs
	}
	idempotent := repeatable(e.in.Advertisement.IdempotentMethods)
	for _, r := range rules {
		vs.Spec.Http = append(vs.Spec.Http, ruleRoutes(wire, to, r, idempotent)...)
	}
	vs.Spec.Http = append(vs.Spec.Http, &networkingv1alpha3.HTTPRoute{
		Name: nameDenied, DirectResponse: &networkingv1alpha3.HTTPDirectResponse{Status: forbidden},
	})
	return vs
}

// toBackend gives the backend the authority of the local Service back. Nothing is retried here unless a rule says so: the
// egress gateway does, and tries that multiply help nobody.
func toBackend(wire WireKey, to *networkingv1alpha3.Destination) *networkingv1alpha3.HTTPRoute {
	headers := withoutMark()
	headers.Request = &networkingv1alpha3.Headers_HeaderOperations{Set: map[string]string{v1alpha1.HeaderWANPort: portValue}}
	return &networkingv1alpha3.HTTPRoute{
		Rewrite: &networkingv1alpha3.HTTPRewrite{Authority: LocalHost(wire.Name, wire.Namespace)},
		Route:   []*networkingv1alpha3.HTTPRouteDestination{{Destination: to}},
		Retries: noRetries(),
		Headers: headers,
	}
}

func noRetries() *networkingv1alpha3.HTTPRetry { return &networkingv1alpha3.HTTPRetry{Attempts: 0} }

func withoutMark() *networkingv1alpha3.Headers {
	return &networkingv1alpha3.Headers{
		Response: &networkingv1alpha3.Headers_HeaderOperations{Remove: []string{headerRatelimited}},
	}
}

// tcpGateway has a TLS server for each TCP port on each policy's port. The name keeps it apart from the policy's own
// server on the same port (WireSNI).
func (e export) tcpGateway(wires []WireKey) Object {
	a := e.in.Advertisement
	gw := &networkingv1.Gateway{
		TypeMeta:   typeNetworking("Gateway"),
		ObjectMeta: oursFor(ExportGatewayName(a.Namespace, a.Name), v1alpha1.PartExport, a.Namespace, a.Name),
		Spec:       networkingv1alpha3.Gateway{Selector: selectGateway(v1alpha1.GatewayIngress)},
	}
	for _, port := range receivingPorts(e.policies, e.in.FormerPorts) {
		for _, wire := range wires {
			name := "tls-" + itoa(port) + "-" + itoa(wire.Port)
			if !wire.Endpoint.IsZero() {
				name += "-" + wire.Endpoint.Hostname
			}
			gw.Spec.Servers = append(gw.Spec.Servers, &networkingv1alpha3.Server{
				Port: &networkingv1alpha3.Port{
					Number: uint32(port), Name: name, Protocol: protocolTLS,
				},
				Tls:   &networkingv1alpha3.ServerTLSSettings{Mode: networkingv1alpha3.ServerTLSSettings_ISTIO_MUTUAL},
				Hosts: []string{inNamespace(WireSNI(wire))},
			})
		}
	}
	return gw
}

func (e export) tcpRoute(wire WireKey, to *networkingv1alpha3.Destination) Object {
	vs := e.virtualService(wire, WireSNI(wire), inNamespace(ExportGatewayName(e.in.Advertisement.Namespace, e.in.Advertisement.Name)))
	vs.Spec.Tcp = []*networkingv1alpha3.TCPRoute{{
		Route: []*networkingv1alpha3.RouteDestination{{Destination: to}},
	}}
	return vs
}

// localSubset pins the ingress gateway to this cluster's endpoints where istiod also reads other clusters: without it a
// request could go round in circles. It leaves tls alone, so that mutual TLS to the pods stays automatic.
func (e export) localSubset() Object {
	a := e.in.Advertisement
	return &networkingv1.DestinationRule{
		TypeMeta:   typeNetworking("DestinationRule"),
		ObjectMeta: oursFor(ExportGatewayName(a.Namespace, a.Name), v1alpha1.PartExport, a.Namespace, a.Name),
		Spec: networkingv1alpha3.DestinationRule{
			Host:     LocalHost(a.Name, a.Namespace),
			ExportTo: onlyHere(),
			Subsets: []*networkingv1alpha3.Subset{{
				Name: subsetLocal, Labels: map[string]string{labelIstioCluster: e.in.Self.ID},
			}},
		},
	}
}
