// SPDX-License-Identifier: Apache-2.0

package translate

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// mtlsPortName names the port of a derived Service under which the mTLS listener of a service port can be reached.
func mtlsPortName(port int32) string { return "mtls-" + itoa(port) }

// LegPortsOf are the listener ports, by service port number, that a derived Service or a dummy Service as Leg writes them
// leads to. Service ports of which a listener is missing are left out; those of a dummy Service have no MTLS.
func LegPortsOf(service *corev1.Service) map[int32]LegPorts {
	out := map[int32]LegPorts{}
	if service.Labels[v1alpha1.LabelPolicy] != "" {
		// The policy's own port leads to a listener that another port has.
		own := DummyPortName(service.Labels[v1alpha1.LabelServiceNamespace], service.Labels[v1alpha1.LabelServiceName])
		for _, p := range service.Spec.Ports {
			if p.Name != own {
				out[p.Port] = LegPorts{Plain: p.TargetPort.IntVal}
			}
		}
		return out
	}
	targets := map[string]int32{}
	for _, p := range service.Spec.Ports {
		targets[p.Name] = p.TargetPort.IntVal
	}
	for _, p := range service.Spec.Ports {
		if mtls, ok := targets[mtlsPortName(p.Port)]; ok {
			out[p.Port] = LegPorts{Plain: p.TargetPort.IntVal, MTLS: mtls}
		}
	}
	return out
}

// EndpointOf is the endpoint of a headless import that a derived Service is for; zero for other Services.
func EndpointOf(service *corev1.Service) EndpointKey {
	if service.Labels[v1alpha1.LabelHostname] == "" {
		return EndpointKey{}
	}
	return EndpointKey{Cluster: service.Labels[v1alpha1.LabelSourceCluster], Hostname: service.Labels[v1alpha1.LabelHostname]}
}
