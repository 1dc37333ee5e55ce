// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"

	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// Protocols of Istio's ports that we write (istio.io/api networking/v1 Port.protocol).
const (
	protocolHTTP    = "HTTP"
	protocolHTTP2   = "HTTP2"
	protocolGRPC    = "GRPC"
	protocolGRPCWeb = "GRPC-WEB"
	protocolHTTPS   = "HTTPS"
	protocolTLS     = "TLS"
	protocolTCP     = "TCP"
	protocolUDP     = "UDP"
)

// protocolOf is the protocol that Istio would see in a service port: by appProtocol, else by the prefix of the port's
// name (pkg/config/kube/conversion.go, ConvertProtocol, in istio/istio). What is not said to be HTTP is TCP: nothing is
// guessed from the bytes, because a leg's listener is of one kind. TLS of the application itself is TCP for us, it
// travels inside ours.
func protocolOf(port mcsv1beta1.ServicePort) string {
	name := port.Name
	if port.AppProtocol != nil {
		name = *port.AppProtocol
		switch name {
		case "kubernetes.io/h2c":
			return protocolHTTP2
		case "kubernetes.io/ws":
			return protocolHTTP
		}
	}
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "grpc-web") {
		return protocolGRPCWeb
	}
	prefix, _, _ := strings.Cut(name, "-")
	switch prefix {
	case "http":
		return protocolHTTP
	case "http2":
		return protocolHTTP2
	case "grpc":
		return protocolGRPC
	}
	return protocolTCP
}

// IsHTTP says whether requests of the port are routed one by one; if not, its connections are.
func IsHTTP(port mcsv1beta1.ServicePort) bool { return isHTTP(port) }

// isHTTP says whether requests of the port are routed one by one.
func isHTTP(port mcsv1beta1.ServicePort) bool { return protocolOf(port) != protocolTCP }

// portName names a service port where a name is needed, unique among the ports of one service because its number is.
func portName(port mcsv1beta1.ServicePort) string {
	return strings.ToLower(protocolOf(port)) + "-" + itoa(port.Port)
}
