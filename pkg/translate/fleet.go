// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	securityv1beta1 "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// labelApp with v1alpha1.ControllerName selects the controller's pods.
const labelApp = "app"

// Fleet is what a cluster needs once: who may come in, the ingress Gateway of every usable policy, the ways to and from
// the feeds, and what Istio's own API cannot say. What guards comes before what opens.
func Fleet(in FleetInput) FleetResult {
	out := FleetResult{
		Policies: ValidatePolicies(in.Policies, in.Cards),
		Peers:    ValidatePeers(in.Self, in.Peers),
	}
	policies, peers := UsablePolicies(in.Policies), AcceptedPeers(in.Self, in.Peers)
	out.Objects = append(out.Objects, admission(in, peers)...)
	out.Objects = append(out.Objects, envoyFilters(in.Policies)...)
	for _, p := range policies {
		out.Objects = append(out.Objects, policyGateway(p.Name, receivingPorts([]v1alpha1.WANPolicy{p}, in.FormerPorts)))
	}
	out.Objects = append(out.Objects, feedObjects(in, policies, peers, &out)...)
	if len(policies) > 0 {
		out.Objects = append(out.Objects, ingressPorts(receivingPorts(policies, in.FormerPorts)))
	}
	return out
}

// policyGateway receives on a policy's ports: its own, and for a while those that it had before. Only VirtualServices of
// mc-wan can attach to it.
func policyGateway(policy string, ports []int32) Object {
	var servers []*networkingv1alpha3.Server
	for _, port := range ports {
		servers = append(servers, &networkingv1alpha3.Server{
			Port:  &networkingv1alpha3.Port{Number: uint32(port), Name: "https-" + itoa(port), Protocol: protocolHTTPS},
			Tls:   &networkingv1alpha3.ServerTLSSettings{Mode: networkingv1alpha3.ServerTLSSettings_ISTIO_MUTUAL},
			Hosts: []string{inNamespace("*.svc." + v1alpha1.ClusterSetDomain)},
		})
	}
	return &networkingv1.Gateway{
		TypeMeta:   typeNetworking("Gateway"),
		ObjectMeta: ours(PolicyGatewayName(policy), v1alpha1.PartFleet),
		Spec: networkingv1alpha3.Gateway{
			Selector: selectGateway(v1alpha1.GatewayIngress),
			Servers:  servers,
		},
	}
}

// receivingPorts are the ports on which the ingress gateway receives for policies.
func receivingPorts(policies []v1alpha1.WANPolicy, former map[string][]int32) []int32 {
	var out []int32
	for _, p := range policies {
		out = append(out, p.Spec.Port)
		out = append(out, former[p.Name]...)
	}
	return out
}

// FormerPorts are the ports of a policy's Gateway, as it stands, that no policy has now.
func FormerPorts(standing *networkingv1.Gateway, policies []v1alpha1.WANPolicy) []int32 {
	var out []int32
	for _, s := range standing.Spec.Servers {
		port := int32(s.GetPort().GetNumber())
		if !slices.ContainsFunc(policies, func(p v1alpha1.WANPolicy) bool { return p.Spec.Port == port }) {
			out = append(out, port)
		}
	}
	return out
}

func policyGateways(policies []v1alpha1.WANPolicy) []string {
	out := make([]string, 0, len(policies))
	for _, p := range policies {
		out = append(out, inNamespace(PolicyGatewayName(p.Name)))
	}
	return out
}

// ingressPorts are the WAN ports of the Service mcw-ingress, and nothing else of it: it is the chart's, so it gets
// none of our labels, and server-side apply leaves the rest as it is.
func ingressPorts(ports []int32) Object {
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: v1alpha1.IngressName},
	}
	for _, port := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: "tls-" + itoa(port), Protocol: corev1.ProtocolTCP, Port: port, TargetPort: intstr.FromInt32(port),
		})
	}
	return s
}

// MayComeIn are the principals that the ingress gateway lets in: the egress gateways of the accepted peers and the own
// one.
func MayComeIn(self Cluster, peers []v1alpha1.Peer) []string {
	egress := []string{principal(self.Identities.Egress)}
	for _, p := range peers {
		egress = append(egress, principal(p.Spec.Identities.Egress))
	}
	return unique(egress)
}

// FormerPeers are the principals that the AuthorizationPolicy of the ingress gateway, as it stands, lets in though no
// accepted peer has them now.
func FormerPeers(standing *securityv1.AuthorizationPolicy, self Cluster, accepted []v1alpha1.Peer) []string {
	var out []string
	now := MayComeIn(self, accepted)
	for _, rule := range standing.Spec.Rules {
		for _, from := range rule.From {
			for _, p := range from.GetSource().GetPrincipals() {
				if !slices.Contains(now, p) {
					out = append(out, p)
				}
			}
		}
	}
	return unique(out)
}

// IngressAdmissionName is the AuthorizationPolicy that lets peers in at the ingress gateway.
const IngressAdmissionName = "ingress"

// admission says who may come in, by pinned identity: at the ingress gateway the egress gateways of the accepted peers
// and the own one, and for a while those of peers of before, who are to hear first that they are none any more; at the
// feed's leg the own controller; at the controller's feed the own ingress gateway. The chart denies everybody else.
func admission(in FleetInput, peers []v1alpha1.Peer) []Object {
	self := in.Self
	egress := unique(append(MayComeIn(self, peers), in.FormerPeers...))
	slices.Sort(egress)
	feedPort := []*securityv1beta1.Rule_To{{Operation: &securityv1beta1.Operation{Ports: []string{itoa(v1alpha1.EgressFeedPort)}}}}
	return []Object{
		authorization(IngressAdmissionName, selectGateway(v1alpha1.GatewayIngress), securityv1beta1.AuthorizationPolicy_ALLOW, &securityv1beta1.Rule{
			From: from(&securityv1beta1.Source{Principals: egress}),
		}),
		authorization("egress-feed", selectGateway(v1alpha1.GatewayEgress), securityv1beta1.AuthorizationPolicy_DENY, &securityv1beta1.Rule{
			From: from(&securityv1beta1.Source{NotPrincipals: []string{principal(self.Controller)}}),
			To:   feedPort,
		}),
		authorization("controller-feed", selectController(), securityv1beta1.AuthorizationPolicy_ALLOW, &securityv1beta1.Rule{
			From: from(&securityv1beta1.Source{Principals: []string{principal(self.Identities.Ingress)}}),
		}),
		&securityv1.PeerAuthentication{
			TypeMeta:   typeSecurity("PeerAuthentication"),
			ObjectMeta: ours("controller-feed", v1alpha1.PartFleet),
			Spec: securityv1beta1.PeerAuthentication{
				Selector: selector(selectController()),
				Mtls:     &securityv1beta1.PeerAuthentication_MutualTLS{Mode: securityv1beta1.PeerAuthentication_MutualTLS_STRICT},
			},
		},
	}
}

func selectController() map[string]string {
	return map[string]string{labelApp: v1alpha1.ControllerName}
}

func selector(labels map[string]string) *typev1beta1.WorkloadSelector {
	return &typev1beta1.WorkloadSelector{MatchLabels: labels}
}

func from(source *securityv1beta1.Source) []*securityv1beta1.Rule_From {
	return []*securityv1beta1.Rule_From{{Source: source}}
}

func authorization(name string, labels map[string]string, action securityv1beta1.AuthorizationPolicy_Action, rule *securityv1beta1.Rule) Object {
	return &securityv1.AuthorizationPolicy{
		TypeMeta:   typeSecurity("AuthorizationPolicy"),
		ObjectMeta: ours(name, v1alpha1.PartFleet),
		Spec: securityv1beta1.AuthorizationPolicy{
			Selector: selector(labels),
			Action:   action,
			Rules:    []*securityv1beta1.Rule{rule},
		},
	}
}
