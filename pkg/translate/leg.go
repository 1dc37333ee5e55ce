// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// leg is one imported service port.
type leg struct {
	self      string
	namespace string
	name      string
	port      mcs.MergedPort
	listeners LegPorts
	policy    string
	// merged is the service as its exports describe it, policies are those of this cluster: see PathFailover.
	merged   mcs.Merged
	policies []v1alpha1.WANPolicy
	shares   Shares
	// ring are the exporters that can answer, see Sharing.
	ring []string
	// sticky says that a client stays with a cluster.
	sticky bool
	// rules, if there are any, say over which policies requests go, in place of policy.
	rules []rule
	// endpoint is the endpoint of a headless service that the leg leads to; zero for the service as a whole.
	endpoint EndpointKey
	// dummy says that the leg is a dummy Service's: it has no listener for mutual TLS.
	dummy bool
}

// newLeg is the leg of a service port on its listeners, without what differs between the legs of a service as a whole and
// those of a headless service's endpoints: shares, ring and stickiness, rules, endpoint.
func newLeg(in LegInput, port mcs.MergedPort, listeners LegPorts, policy string) leg {
	return leg{
		self:      in.Self.ID,
		namespace: in.Namespace,
		name:      in.Name,
		port:      port,
		listeners: listeners,
		policy:    policy,
		merged:    in.Merged,
		policies:  in.Policies,
	}
}

// objectName names the leg's Gateway and VirtualService.
func (l leg) objectName() string {
	switch {
	case l.dummy:
		return DummyLegName(l.namespace, l.name, l.port.Port, l.policy)
	case !l.endpoint.IsZero():
		return EndpointLegName(l.namespace, l.name, l.port.Port, l.endpoint)
	}
	return LegName(l.namespace, l.name, l.port.Port)
}

// meta is the metadata of the leg's Gateway and VirtualService.
func (l leg) meta() metav1.ObjectMeta {
	m := oursFor(l.objectName(), v1alpha1.PartLeg, l.namespace, l.name)
	if l.dummy {
		m.Labels[v1alpha1.LabelPolicy] = l.policy
	}
	labelEndpoint(m.Labels, l.endpoint)
	return m
}

// wire is the leg's service port.
func (l leg) wire() WireKey {
	return WireKey{Namespace: l.namespace, Name: l.name, Port: l.port.Port, Endpoint: l.endpoint}
}

// Leg is what an imported service needs in this cluster. Those without a port that a gateway can carry have nothing but
// their ServiceImport and, once they have one, their address: KEP-1645 (L741-747) has it stay for the life of the import.
func Leg(in LegInput) LegResult {
	out := LegResult{
		Policy: ResolvePolicy(in.Merged.WANPolicy, in.Policies),
		Import: serviceImport(in),
		Shares: map[int32]Shares{},
	}
	if in.Merged.Type == mcsv1beta1.Headless {
		addHeadless(in, &out)
		return out
	}
	legs := legsOf(in, &out)
	rules := rulesOf(in)
	for i := range legs {
		legs[i].rules = rules.inForce.forPort(legs[i].port.ServicePort)
	}
	out.Rules, out.InForce = rules.conditions(legs), rules.rulesInForce()
	if len(legs) > 0 || len(in.VIPs) > 0 || len(in.Wanted) > 0 {
		out.Service = derivedService(in, legs)
	}
	for _, l := range legs {
		if isHTTP(l.port.ServicePort) {
			out.Shares[l.port.Port] = l.shares
		}
		objects, paths := l.objects()
		out.Objects = append(out.Objects, objects...)
		out.Paths = append(out.Paths, paths...)
	}
	addDummies(in, legs, &out)
	out.Paths = uniquePaths(out.Paths)
	if len(in.VIPs) > 0 && len(legs) > 0 {
		out.Objects = append(out.Objects, clientServiceEntry(in, legs))
		out.Objects = append(out.Objects, endpointSlices(in, legs)...)
		out.Import.Status.EndpointSliceObjects = mcsv1beta1.EndpointSliceObjectsPresent
	}
	out.Problem = cmp.Or(problem(out, legs), familyProblem(in, in.VIPs))
	return out
}

// legsOf are the legs of the ports that a gateway can carry, by port number.
func legsOf(in LegInput, out *LegResult) []leg {
	var legs []leg
	for _, p := range in.Merged.Ports {
		if !mcs.Carried(p.Protocol) {
			continue
		}
		listeners, ok := in.Ports[p.Port]
		if !ok {
			out.Unallocated = append(out.Unallocated, p.Port)
			continue
		}
		l := newLeg(in, p, listeners, out.Policy)
		l.shares, l.ring = Sharing(in, p)
		l.sticky = in.Merged.SessionAffinity == corev1.ServiceAffinityClientIP
		legs = append(legs, l)
	}
	slices.Sort(out.Unallocated)
	slices.SortFunc(legs, func(a, b leg) int { return cmp.Compare(a.port.Port, b.port.Port) })
	return legs
}

// Sharing is how the exporters of a port of a service that is no headless one share its requests. ring are those that can
// answer, sorted: each is backed up by another. Those that have no share, because a nearer one has it all, are among them.
func Sharing(in LegInput, port mcs.MergedPort) (shares Shares, ring []string) {
	exporters := Exporters(port, in.Exports)
	for i := range exporters {
		exporters[i].Drained = slices.Contains(in.Drained, exporters[i].ClusterID)
	}
	return NextShares(in.Previous[port.Port], closest(exporters, in.Merged.TrafficDistribution, in.Self.ID)), ringOf(exporters)
}

// ringOf are those of the exporters that can answer, sorted. One that is drained is among them where but one is left besides:
// a drain must not cost it its backup.
func ringOf(exporters []Exporter) []string {
	ring := clusterIDs(eligible(exporters))
	if len(ring) > 1 {
		return ring
	}
	drained := filter(exporters, func(e Exporter) bool { return e.Drained && !e.Draining && e.Ready > 0 })
	ring = unique(append(ring, clusterIDs(drained)...))
	slices.Sort(ring)
	return ring
}

// Exporters are the exporters of one port of a merged service, by cluster id: those that really export that very port. One
// whose port has the same name and number and another protocol is none of them: requests do not reach what its ingress
// gateway takes for TCP, nor the other way round.
func Exporters(port mcs.MergedPort, exports []v1alpha1.ServiceAdvertisementSpec) []Exporter {
	var out []Exporter
	for _, e := range exports {
		if !slices.Contains(port.Clusters, e.ClusterID) {
			continue
		}
		for _, p := range e.Ports {
			if p.Port == port.Port && sameProtocol(p.Protocol, port.Protocol) && isHTTP(advertisedPort(p)) == isHTTP(port.ServicePort) {
				out = append(out, Exporter{ClusterID: e.ClusterID, Ready: p.ReadyBackends, Draining: e.Draining})
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b Exporter) int { return cmp.Compare(a.ClusterID, b.ClusterID) })
	return out
}

func sameProtocol(a, b corev1.Protocol) bool {
	return cmp.Or(a, corev1.ProtocolTCP) == cmp.Or(b, corev1.ProtocolTCP)
}

// objects are the leg's listeners and routes, and the paths they lead to. Without a WAN policy HTTP is answered with an
// error and TCP is not listened for: no tunnel was chosen, so none is used.
func (l leg) objects() ([]Object, []PathKey) {
	if isHTTP(l.port.ServicePort) {
		return l.httpObjects()
	}
	return l.tcpObjects()
}

// paths are the paths of a policy's traffic by share: one per exporter, with its backup. So there are no more than
// peers x peers x policies of them, whoever exports what.
func (l leg) paths(policy string) []weightedPath {
	clusters := l.shares.Clusters()
	out := make([]weightedPath, 0, len(clusters))
	for _, c := range clusters {
		out = append(out, weightedPath{PathKey{Policy: policy, Exporter: c, Backup: l.backup(c), Failover: l.override(policy)}, l.shares[c]})
	}
	return out
}

// backup is who stands in for an exporter: the own cluster if it can answer, because what cuts this cluster off takes all
// others along at once; else the next one in the ring of ids. Empty where there is nobody else.
func (l leg) backup(exporter string) string {
	switch {
	case len(l.ring) < 2:
		return ""
	case exporter != l.self && slices.Contains(l.ring, l.self):
		return l.self
	}
	return l.ring[(slices.Index(l.ring, exporter)+1)%len(l.ring)]
}

func (l leg) override(policy string) string { return PathFailover(policy, l.merged, l.policies) }

// PathFailover is PathKey.Failover of a service's path over a policy: what the exports say, where it holds and differs from
// the policy's own failover. It holds for the policy of the export; Strict holds for all traffic of the service. What is
// Strict here stays so: an export may bind its own traffic, and not open what this cluster has closed. Paths that do the
// same are the same.
func PathFailover(policy string, merged mcs.Merged, policies []v1alpha1.WANPolicy) string {
	own := failoverOf(policy, policies)
	says := advertise.FailoverText(merged.Failover)
	switch {
	case own.Mode == v1alpha1.FailoverStrict, says == advertise.FailoverText(&own):
		return ""
	case says == string(v1alpha1.FailoverStrict), policy == ResolvePolicy(merged.WANPolicy, policies):
		return says
	}
	return ""
}

// weightedPath is a path and its percentage of a leg's traffic.
type weightedPath struct {
	path   PathKey
	weight int32
}

// uniquePaths drops repetitions and sorts.
func uniquePaths(in []PathKey) []PathKey {
	out := slices.Clone(in)
	slices.SortFunc(out, comparePaths)
	return slices.Compact(out)
}

func comparePaths(a, b PathKey) int {
	return cmp.Or(
		cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Exporter, b.Exporter), cmp.Compare(a.Backup, b.Backup),
		cmp.Compare(a.TCP.Namespace, b.TCP.Namespace), cmp.Compare(a.TCP.Name, b.TCP.Name), cmp.Compare(a.TCP.Port, b.TCP.Port),
		cmp.Compare(a.TCP.Endpoint.Cluster, b.TCP.Endpoint.Cluster), cmp.Compare(a.TCP.Endpoint.Hostname, b.TCP.Endpoint.Hostname),
		cmp.Compare(a.Failover, b.Failover),
	)
}

// problem is why the service cannot be used, the first that applies.
func problem(out LegResult, legs []leg) *mcs.Problem {
	switch {
	case len(out.Unallocated) > 0:
		return &mcs.Problem{Reason: v1alpha1.ReasonOutOfPorts, Message: fmt.Sprintf(
			"no free port at the egress gateway for service port %s: %d to %d are taken, remove imports that nobody uses",
			joinPorts(out.Unallocated), v1alpha1.MinLegPort, v1alpha1.MaxLegPort)}
	case out.Policy == "" && len(legs) > 0:
		return &mcs.Problem{Reason: v1alpha1.ReasonNoDefaultPolicy, Message: fmt.Sprintf(
			"the exports name no WANPolicy and this cluster has no default: annotate the ServiceExport with %s, or set spec.default on a WANPolicy",
			v1alpha1.AnnotationWANPolicy)}
	}
	return nil
}

func joinPorts(in []int32) string {
	out := make([]string, 0, len(in))
	for _, p := range in {
		out = append(out, itoa(p))
	}
	return strings.Join(out, ", ")
}

// familiesOf are the address families of VIPs, in their order.
func familiesOf(vips []string) []corev1.IPFamily {
	var out []corev1.IPFamily
	for _, v := range vips {
		out = append(out, familyOf(v))
	}
	return out
}

func familyOf(vip string) corev1.IPFamily {
	if strings.Contains(vip, ":") {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}
