// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// maxName bounds the names of what we write. Kubernetes allows 253 for most kinds; 63 lets a name be a label value,
	// a DNS label and a Service name as well.
	maxName = 63
	// hashLen characters of base32 are 80 bits: a peer that chooses its services' names cannot aim at another's name.
	hashLen = 16

	// PathDomain is the zone of the hosts of paths. It is ours alone: nothing resolves it and clients never see it.
	PathDomain = "wan.mcw.internal"
	// SharedSNI is the server name on shared paths; the authority says which service is meant.
	SharedSNI = "wan.svc." + v1alpha1.ClusterSetDomain
)

// hash is a short digest of parts. Parts are joined by "/", which no DNS name contains, so that a-b/c and a/b-c differ.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "/")))
	return strings.ToLower(base32.HexEncoding.EncodeToString(sum[:]))[:hashLen]
}

// hashed is prefix-parts-hash, cut to maxName in its readable middle.
func hashed(prefix string, parts ...string) string {
	readable := prefix
	for _, p := range parts {
		if p != "" {
			readable += "-" + p
		}
	}
	return cut(readable, maxName-hashLen-1) + "-" + hash(parts...)
}

// bounded is prefix-part, with a hash in place of what does not fit.
func bounded(prefix, part string) string {
	name := prefix + "-" + part
	if len(name) <= maxName {
		return name
	}
	return cut(name, maxName-hashLen-1) + "-" + hash(part)
}

// cut shortens s to at most n characters and leaves no separator at its end.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.TrimRight(s, "-.")
}

// AdvertisementName names the ServiceAdvertisement of a service of cluster source, the own or a peer's.
func AdvertisementName(source, namespace, name string) string {
	return "adv-" + hash(source, namespace, name)
}

// HandWrittenAdvertisementName names an advertisement that an operator wrote. It is another one than that of the copy which
// the feed would write, so that joining the cluster later finds nothing in its way.
func HandWrittenAdvertisementName(source, namespace, name string) string {
	return "manual-" + hash(source, namespace, name)
}

// HandWrittenCardName names the card of a cluster that an operator wrote.
func HandWrittenCardName(cluster string) string { return bounded("manual", cluster) }

// DerivedServiceName names the Service in mc-wan whose ClusterIP is the ClusterSetIP of namespace/name.
func DerivedServiceName(namespace, name string) string {
	return "derived-" + hash(namespace, name)
}

// EndpointServiceName names the Service in mc-wan whose ClusterIP is the address of one endpoint of a headless service.
func EndpointServiceName(namespace, name string, endpoint EndpointKey) string {
	return "derived-" + hash(namespace, name, endpoint.Cluster, endpoint.Hostname)
}

// EndpointServiceEntryName names the ServiceEntry by which clients with a sidecar know one endpoint of a headless service,
// in the service's namespace.
func EndpointServiceEntryName(name string, endpoint EndpointKey) string {
	return hashed("mcw", endpoint.Hostname, endpoint.Cluster, name)
}

// ServiceEntryName names the ServiceEntry by which clients with a sidecar know the imported service name, in its namespace.
func ServiceEntryName(name string) string { return bounded("mcw", name) }

// AddressesServiceEntryName names the ServiceEntry with the addresses of a headless service but the first, in its namespace.
func AddressesServiceEntryName(name string) string { return hashed("mcw", name, "addresses") }

// EndpointSliceName names the EndpointSlice of an imported service for one source cluster and address family.
func EndpointSliceName(name, cluster, family string) string {
	return hashed("mcw", name, cluster, strings.ToLower(family))
}

// LegName names the Gateway and the VirtualService of one imported service port, in mc-wan.
func LegName(namespace, name string, port int32) string {
	return hashed("egress", name, namespace, strconv.Itoa(int(port)))
}

// EndpointLegName names the Gateway and the VirtualService of one port of an endpoint of a headless service, in mc-wan.
func EndpointLegName(namespace, name string, port int32, endpoint EndpointKey) string {
	return hashed("egress", name, namespace, strconv.Itoa(int(port)), endpoint.Hostname, endpoint.Cluster)
}

// DummyLegName names the Gateway and the VirtualService of one service port of a dummy Service, in mc-wan.
func DummyLegName(namespace, name string, port int32, policy string) string {
	return hashed("egress-dummy", name, namespace, strconv.Itoa(int(port)), policy)
}

// DummyServiceName names the dummy Service of an imported service and a WAN policy, in mc-wan. Rules say it, see
// docs/steering.md. It may be longer than a Service's name can be, and two services may have the same one.
func DummyServiceName(namespace, name, policy string) string {
	return name + "-" + namespace + "-" + policy
}

// PathName names the ServiceEntry and the DestinationRule of a path, and is the value of the label mcw.l7mp.io/path.
func PathName(key PathKey) string {
	prefix, parts := "path", []string{key.Policy, key.Exporter, key.Backup}
	if !key.TCP.IsZero() {
		prefix, parts = "path-tcp", []string{key.TCP.Name, key.TCP.Namespace, strconv.Itoa(int(key.TCP.Port)), key.Policy}
	}
	if e := key.TCP.Endpoint; !e.IsZero() {
		parts = append(parts, e.Hostname, e.Cluster)
	}
	if key.Failover == "" {
		return hashed(prefix, parts...)
	}
	// The order of tunnels is part of the hash alone: it may be long, and names no DNS name may have.
	readable := strings.TrimSuffix(hashed(prefix, parts...), hash(parts...))
	mode, _, _ := strings.Cut(strings.ToLower(key.Failover), ":")
	return cut(readable+mode, maxName-hashLen-1) + "-" + hash(append(parts, key.Failover)...)
}

// PathHost is the host of a path's ServiceEntry.
func PathHost(key PathKey) string { return PathName(key) + "." + PathDomain }

// WireName is the name of one HTTP port of a service between the two gateways, the authority of requests. That of an
// endpoint of a headless service does not name the cluster: which one a request goes to is the path's matter.
func WireName(w WireKey) string { return wireHost(w, "svc") }

// WireSNI is the same for a TCP port, the server name (SNI). It is outside of the domain that a policy's HTTPS server
// takes: while the ingress gateway has no TLS server for it (yet), as on a port that a policy has just got, it must refuse
// the connection, which goes on to the next hop then. The HTTPS server would wait for a request, and the client for the
// backend's first word.
func WireSNI(w WireKey) string { return wireHost(w, "tcp") }

func wireHost(w WireKey, kind string) string {
	name := "p" + strconv.Itoa(int(w.Port)) + "."
	if !w.Endpoint.IsZero() {
		name += w.Endpoint.Hostname + "."
	}
	return name + w.Name + "." + w.Namespace + "." + kind + "." + v1alpha1.ClusterSetDomain
}

// EndpointHost is the name by which clients call one endpoint of a headless service (KEP-1645, specification.md).
func EndpointHost(service, namespace string, endpoint EndpointKey) string {
	return endpoint.String() + "." + ClusterSetHost(service, namespace)
}

// ClusterSetHost is the name by which clients call an imported service.
func ClusterSetHost(service, namespace string) string {
	return service + "." + namespace + ".svc." + v1alpha1.ClusterSetDomain
}

// LocalHost is the name of a Service in its own cluster.
func LocalHost(service, namespace string) string {
	return service + "." + namespace + ".svc.cluster.local"
}

// ExportName names the ingress objects of one exported service port, in mc-wan.
func ExportName(w WireKey) string {
	parts := []string{w.Name, w.Namespace, strconv.Itoa(int(w.Port))}
	if !w.Endpoint.IsZero() {
		parts = append(parts, w.Endpoint.Hostname)
	}
	return hashed("ingress", parts...)
}

// BackendServiceName names the Service in mc-wan that stands for one endpoint of a headless Service of this cluster: the
// ingress gateway's destination. The cluster's id is in it, so that a mesh that reads several clusters keeps them apart.
func BackendServiceName(namespace, name string, endpoint EndpointKey) string {
	return "backend-" + hash(namespace, name, endpoint.Cluster, endpoint.Hostname)
}

// BackendSliceName names the n-th EndpointSlice of an address type of a Service that BackendServiceName names: the type of
// one that exists cannot change.
func BackendSliceName(service string, of discoveryv1.AddressType, n int) string {
	return service + "-" + strings.ToLower(string(of)) + "-" + strconv.Itoa(n)
}

// ExportGatewayName names the Gateway with the TLS servers of an export's TCP ports, and the DestinationRule that pins
// the export to this cluster's endpoints.
func ExportGatewayName(namespace, name string) string { return hashed("ingress", name, namespace) }

// PolicyGatewayName names the ingress Gateway of a WAN policy, in mc-wan.
func PolicyGatewayName(policy string) string { return bounded("wan", policy) }

// FeedLegName names the VirtualService of the egress gateway that leads to a peer's feed, in mc-wan.
func FeedLegName(cluster string) string { return bounded("feed", cluster) }

// FeedPrefix is the path under which the egress gateway's feed port leads to a peer's feed.
func FeedPrefix(cluster string) string { return "/peers/" + cluster + "/" }
