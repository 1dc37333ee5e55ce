// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// pathPort is the port of a shared path's private host; hops have the WAN policies' ports.
	pathPort     = 443
	pathPortName = "h2"
	// tcpPathPort is the port of a TCP leg's path's host. Its protocol is TLS, which is what goes over it. (A port of
	// protocol TCP on a host without an address would be a listener on all addresses in every sidecar that sees it.)
	tcpPathPort = 444
	tcpPortName = "tls"

	// sharedLocalOriginFailures is how many connections in a row must fail, or requests be reset, until a hop of a shared
	// path is left out. One backend that resets its connections must not reach it soon, and a dead tunnel does: all
	// requests on a connection end with it. Where requests are too few for that, retries go on and the prober is quicker.
	sharedLocalOriginFailures = 5
	// tcpLocalOriginFailures: a TCP connection is not retried on another one's knowledge, so the first failure counts.
	tcpLocalOriginFailures = 1
	// sweep is how often Envoy looks for hops whose time out is over; timeOut is that time, growing with each repetition.
	// When it is over Envoy sends live requests to find out, so it is long: the prober takes dead hops out of the order well
	// before, and one that it lets back in is a new host to Envoy, with no time out.
	sweep   = time.Second
	timeOut = 15 * time.Second

	// minConnectTimeout and roundTripsOfConnect bound TCP and TLS 1.3 handshake together: a round trip each. Waiting up to a
	// second longer would help nobody whose first packet was lost: it is not sent again before (RFC 6298, section 2).
	minConnectTimeout   = 600 * time.Millisecond
	roundTripsOfConnect = 2
	// keepaliveInterval is the pause between HTTP/2 pings: they are something to acknowledge on a connection on which nothing
	// else is sent, so that the kernel finds a black hole (TCP_USER_TIMEOUT, envoyfilters.go). The answer to a ping comes from
	// the gateway at the other end itself, and minKeepaliveTimeout is the least time that it has: one that hangs is found,
	// one that gets no CPU for a second loses no request.
	keepaliveInterval   = 500 * time.Millisecond
	minKeepaliveTimeout = 3 * time.Second
	// roundTripsOfPolicy and roundTripsOfOthers: a ping waits behind the data of everyone on the connection, so it gets
	// several round trips of the path's own policy, and must at least come back on the slowest of the others.
	roundTripsOfPolicy = 4
	roundTripsOfOthers = 2
	// streamsPerConnection spreads load over connections: one bulk transfer delays the pings of fewer others.
	streamsPerConnection = 100

	// TCP keepalives on TCP legs: a dead tunnel ends idle connections after 10 + 3 x 5 seconds.
	tcpKeepaliveTime     = 10 * time.Second
	tcpKeepaliveInterval = 5 * time.Second
	tcpKeepaliveProbes   = 3

	// sidecars is what Istio calls them where gateways are listed.
	sidecars = "mesh"

	// weightOfPercent is the endpoint weight of one percent: divisible by every likely number of gateway pods.
	weightOfPercent = 60
)

// Path is the ServiceEntry, the DestinationRule and the mention of a path: one Envoy cluster of the egress gateway. They
// are always there, even when no hop is known yet, so that no route points at nothing.
func Path(in PathInput) []Object {
	ranks, shares := layout(in)
	return []Object{
		pathServiceEntry(in, ranks, shares),
		pathDestinationRule(in, ranks),
		pathMention(in.Key, Warm(in.Self.ID, in.Key, in.Policies)),
	}
}

// layout are the ranks of a path, and the exporters' shares of a TCP leg's.
func layout(in PathInput) ([]slot, Shares) {
	shares := Shares(nil)
	if !in.Key.TCP.IsZero() {
		shares = NextShares(in.Previous, in.Exporters)
	}
	return slots(in.Key, in.Policies, in.Cards, groupsOfExporters(in, shares)), shares
}

func pathMeta(key PathKey) metav1.ObjectMeta {
	name := PathName(key)
	m := ours(name, v1alpha1.PartPath)
	if !key.TCP.IsZero() {
		m = oursFor(name, v1alpha1.PartPath, key.TCP.Namespace, key.TCP.Name)
	}
	m.Labels[v1alpha1.LabelPath] = name
	return m
}

// pathPortOf is the port of the path's host that routes name.
func pathPortOf(key PathKey) (name string, number uint32, protocol string) {
	if key.TCP.IsZero() {
		return pathPortName, pathPort, protocolHTTP2
	}
	return tcpPortName, tcpPathPort, protocolTLS
}

// pathServiceEntry holds the hops. MESH_INTERNAL because what is behind is part of a mesh (mTLS, telemetry); STATIC
// because failoverPriority needs EDS; no network, because istiod would replace the endpoint by its own gateways.
func pathServiceEntry(in PathInput, ranks []slot, shares Shares) *networkingv1.ServiceEntry {
	name, number, protocol := pathPortOf(in.Key)
	m := pathMeta(in.Key)
	// The host is never resolved, so it needs no address of istiod's.
	m.Labels["networking.istio.io/enable-autoallocate-ip"] = "false"
	if shares != nil {
		m.Annotations = map[string]string{AnnotationShares: shares.String()}
	}
	return &networkingv1.ServiceEntry{
		TypeMeta:   typeNetworking("ServiceEntry"),
		ObjectMeta: m,
		Spec: networkingv1alpha3.ServiceEntry{
			Hosts:      []string{PathHost(in.Key)},
			ExportTo:   onlyHere(),
			Location:   networkingv1alpha3.ServiceEntry_MESH_INTERNAL,
			Resolution: networkingv1alpha3.ServiceEntry_STATIC,
			Ports:      []*networkingv1alpha3.ServicePort{{Name: name, Number: number, Protocol: protocol}},
			Endpoints:  hopEntries(in.inUse(ranks, shares), len(ranks), name, shares),
		},
	}
}

// pathMention names the path as a destination. With PILOT_FILTER_GATEWAY_CLUSTER_CONFIG a gateway holds the Envoy clusters
// that a VirtualService names, and istiod sends clusters before routes: without a mention of its own a path would go
// before the last route to it, and come in the same moment as the first. A cold path's match is for sidecars, which the
// VirtualService is not for, so istiod makes no route of it; a warm path's route is standbyRoute.
func pathMention(key PathKey, warm bool) *networkingv1.VirtualService {
	_, port, _ := pathPortOf(key)
	vs := &networkingv1.VirtualService{
		TypeMeta:   typeNetworking("VirtualService"),
		ObjectMeta: pathMeta(key),
		Spec: networkingv1alpha3.VirtualService{
			Hosts:    []string{PathHost(key)},
			Gateways: []string{inNamespace(feedLegName)},
			ExportTo: onlyHere(),
			Http: []*networkingv1alpha3.HTTPRoute{{
				Match: []*networkingv1alpha3.HTTPMatchRequest{{Gateways: []string{sidecars}}},
				Route: []*networkingv1alpha3.HTTPRouteDestination{{Destination: destination(PathHost(key), port)}},
			}},
		},
	}
	if warm {
		vs.Spec.Hosts, vs.Spec.Http = []string{"*"}, []*networkingv1alpha3.HTTPRoute{standbyRoute(key)}
	}
	return vs
}

// answering are the hops of clusters that have a share of a TCP leg's path; all hops of a shared path.
func answering(hops []Hop, shares Shares) []Hop {
	if shares == nil {
		return hops
	}
	return filter(hops, func(h Hop) bool { return shares[h.Cluster] > 0 })
}

// hopEntries are the hops with the labels that make their order.
func hopEntries(hops []Hop, ranks int, port string, shares Shares) []*networkingv1alpha3.WorkloadEntry {
	out := make([]*networkingv1alpha3.WorkloadEntry, 0, len(hops))
	for _, h := range hops {
		e := &networkingv1alpha3.WorkloadEntry{
			Address: h.Address,
			Ports:   map[string]uint32{port: uint32(h.Port)},
			Labels:  rankLabels(h.Rank, ranks),
		}
		if shares != nil {
			e.Weight = weight(h, hops, shares)
		}
		out = append(out, e)
	}
	return out
}

// weight divides a cluster's share among its addresses in one rank.
func weight(h Hop, hops []Hop, shares Shares) uint32 {
	pods := filter(hops, func(o Hop) bool { return o.Rank == h.Rank && o.Cluster == h.Cluster })
	return max(1, uint32(shares[h.Cluster])*weightOfPercent/uint32(len(pods)))
}

// rankLabel says of a hop that its rank is at most j.
func rankLabel(j int) string { return "mcw.l7mp.io/rank-le-" + itoa(int32(j)) }

// rankOK is the labels' value. Not yes or true: YAML makes booleans of them.
const rankOK = "ok"

// rankLabels are the labels of a hop of rank k among n: rank-le-j for every j in k..n-2. istiod gives an endpoint the
// priority of the first label in failoverPriority that it lacks (pilot/pkg/networking/core/loadbalancer, in
// applyFailoverPriorityPerLocality), and reads one value per label key, so an order of n takes n-1 keys.
func rankLabels(k, n int) map[string]string {
	labels := map[string]string{}
	for j := k; j <= n-2; j++ {
		labels[rankLabel(j)] = rankOK
	}
	return labels
}

// failoverPriority lists the rank labels from the widest to the narrowest.
func failoverPriority(n int) []string {
	var out []string
	for j := n - 2; j >= 0; j-- {
		out = append(out, rankLabel(j)+"="+rankOK)
	}
	return out
}

func pathDestinationRule(in PathInput, ranks []slot) *networkingv1.DestinationRule {
	failures, sni := uint32(sharedLocalOriginFailures), SharedSNI
	if !in.Key.TCP.IsZero() {
		failures, sni = tcpLocalOriginFailures, WireSNI(in.Key.TCP)
	}
	return &networkingv1.DestinationRule{
		TypeMeta:   typeNetworking("DestinationRule"),
		ObjectMeta: pathMeta(in.Key),
		Spec: networkingv1alpha3.DestinationRule{
			Host:     PathHost(in.Key),
			ExportTo: onlyHere(),
			TrafficPolicy: &networkingv1alpha3.TrafficPolicy{
				LoadBalancer:     pathLoadBalancer(in, len(ranks)),
				OutlierDetection: outlierDetection(failures),
				ConnectionPool:   connectionPool(in, ranks),
				Tls: &networkingv1alpha3.ClientTLSSettings{
					Mode:            networkingv1alpha3.ClientTLSSettings_ISTIO_MUTUAL,
					Sni:             sni,
					SubjectAltNames: identities(in, ranks),
				},
			},
		},
	}
}

// pathLoadBalancer makes ranks Envoy priorities. Round robin, because least request would prefer the nearest cluster
// whatever its share. On the path of a TCP leg with session affinity the client's address decides, by endpoint weights:
// HTTP legs hold their clients before they choose a path (envoyfilters.go).
func pathLoadBalancer(in PathInput, ranks int) *networkingv1alpha3.LoadBalancerSettings {
	out := &networkingv1alpha3.LoadBalancerSettings{
		LbPolicy: &networkingv1alpha3.LoadBalancerSettings_Simple{Simple: networkingv1alpha3.LoadBalancerSettings_ROUND_ROBIN},
		LocalityLbSetting: &networkingv1alpha3.LocalityLoadBalancerSetting{
			Enabled:          wrapperspb.Bool(true),
			FailoverPriority: failoverPriority(ranks),
		},
	}
	if !in.Key.TCP.IsZero() && in.SessionAffinity == corev1.ServiceAffinityClientIP {
		out.LbPolicy = &networkingv1alpha3.LoadBalancerSettings_ConsistentHash{
			ConsistentHash: &networkingv1alpha3.LoadBalancerSettings_ConsistentHashLB{
				HashKey: &networkingv1alpha3.LoadBalancerSettings_ConsistentHashLB_UseSourceIp{UseSourceIp: true},
			},
		}
	}
	return out
}

// outlierDetection leaves out a hop that cannot be reached, and never one whose backends answer badly: 5xx count nothing
// (the zeros are written out because Envoy's default is 5), only local-origin failures do. All hops may be out at once
// (Envoy's default is a tenth of them); then minHealthPercent 1 makes Envoy try anyway instead of refusing.
func outlierDetection(failures uint32) *networkingv1alpha3.OutlierDetection {
	return &networkingv1alpha3.OutlierDetection{
		SplitExternalLocalOriginErrors: true,
		ConsecutiveLocalOriginFailures: count(failures),
		Consecutive_5XxErrors:          count(0),
		ConsecutiveGatewayErrors:       count(0),
		Interval:                       seconds(sweep),
		BaseEjectionTime:               seconds(timeOut),
		MaxEjectionPercent:             whole,
		MinHealthPercent:               1,
	}
}

func connectionPool(in PathInput, ranks []slot) *networkingv1alpha3.ConnectionPoolSettings {
	own, slowest := roundTrips(in, ranks)
	tcp := &networkingv1alpha3.ConnectionPoolSettings_TCPSettings{
		ConnectTimeout: seconds(max(minConnectTimeout, roundTripsOfConnect*slowest)),
	}
	if !in.Key.TCP.IsZero() {
		tcp.TcpKeepalive = &networkingv1alpha3.ConnectionPoolSettings_TCPSettings_TcpKeepalive{
			Probes: tcpKeepaliveProbes, Time: seconds(tcpKeepaliveTime), Interval: seconds(tcpKeepaliveInterval),
		}
		return &networkingv1alpha3.ConnectionPoolSettings{Tcp: tcp}
	}
	return &networkingv1alpha3.ConnectionPoolSettings{
		Tcp: tcp,
		Http: &networkingv1alpha3.ConnectionPoolSettings_HTTPSettings{
			MaxConcurrentStreams: streamsPerConnection,
			Http2KeepAlive: &networkingv1alpha3.ConnectionPoolSettings_HTTPSettings_ConnectionKeepalive{
				Interval: seconds(keepaliveInterval),
				Timeout:  seconds(max(minKeepaliveTimeout, roundTripsOfPolicy*own, roundTripsOfOthers*slowest)),
			},
		},
	}
}

// roundTrips are the longest round trips by service level: of the path's own policy, and of the slowest on the path.
// Policies without a service level count as fast; docs/kinds/wanpolicy.md says so.
func roundTrips(in PathInput, ranks []slot) (own, slowest time.Duration) {
	own = roundTrip(policyByName(in.Key.Policy, in.Policies))
	for _, s := range ranks {
		slowest = max(slowest, roundTrip(policyByName(s.policy, in.Policies)))
	}
	return own, slowest
}

// identities are the pinned identities of all clusters on the path. Without any, Envoy would take every certificate of
// the root, so a path that leads nowhere yet demands the own one.
func identities(in PathInput, ranks []slot) []string {
	var out []string
	for _, s := range ranks {
		for _, c := range s.clusters {
			out = append(out, cardOf(in.Cards, c).Identities.Ingress)
		}
	}
	if out = unique(out); len(out) == 0 {
		out = []string{in.Self.Identities.Ingress}
	}
	slices.Sort(out)
	return out
}
