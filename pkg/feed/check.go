// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// Bounds on one advertisement. The schema of the CRD has the same ones where it has any: what passes here must not be
// turned away by the own API server.
const (
	maxPorts           = 250
	maxReadyBackends   = 1000000
	maxAffinitySeconds = 86400 // Service.spec.sessionAffinityConfig.clientIP.timeoutSeconds
	minYear            = 1970
	maxYear            = 9999 // encoding/json writes no later one
	maxQuoted          = 64   // characters of a peer's string in a message
)

// Rules is what one peer's advertisements and card are judged by.
type Rules struct {
	// Peer is the joined cluster, as the operator wrote it.
	Peer v1alpha1.PeerSpec
	// Protected are namespaces that no peer may import into, besides kube-*, istio-system and mc-wan.
	Protected []string
	// OwnAddress forbids addresses; nil forbids none.
	OwnAddress AddressPredicate
}

// verdict is a reason and a message; an empty reason accepts.
type verdict struct{ reason, message string }

func accept() verdict { return verdict{} }

func refuse(reason, format string, args ...any) verdict {
	return verdict{reason: reason, message: fmt.Sprintf(format, args...)}
}

type advertisementRule func(Rules, *v1alpha1.ServiceAdvertisementSpec) verdict

// advertisementRules in the order in which they are asked: whose it is and whether we can read it come first, since
// what follows has a meaning only then.
func advertisementRules() []advertisementRule {
	return []advertisementRule{
		advertisedByPeer, advertisedForReader, advertisedName, advertisedNamespace, advertisedTimes, advertisedType,
		advertisedPorts, advertisedAffinity, advertisedTraffic, advertisedExtras, advertisedPolicy, advertisedRules,
	}
}

// CheckAdvertisement judges one advertisement of the peer: ok, or the refusal.
func CheckAdvertisement(rules Rules, adv *v1alpha1.ServiceAdvertisementSpec) (v1alpha1.Refusal, bool) {
	for _, rule := range advertisementRules() {
		if v := rule(rules, adv); v.reason != "" {
			return v1alpha1.Refusal{Name: serviceTitle(adv), Reason: v.reason, Message: v.message}, false
		}
	}
	return v1alpha1.Refusal{}, true
}

// NamespaceAllowed says whether the peer's services may be imported into the namespace.
func NamespaceAllowed(rules Rules, namespace string) bool {
	return advertisedNamespace(rules, &v1alpha1.ServiceAdvertisementSpec{Namespace: namespace}).reason == ""
}

func serviceTitle(adv *v1alpha1.ServiceAdvertisementSpec) string {
	return quote(adv.Namespace) + "/" + quote(adv.Name)
}

// quote makes a peer's string fit for a status message: short, printable, as it is where it is harmless.
func quote(s string) string {
	if len(s) <= validation.DNS1123SubdomainMaxLength && len(validation.IsDNS1123Subdomain(s)) == 0 {
		return s
	}
	if len(s) > maxQuoted {
		s = s[:maxQuoted] + "..."
	}
	return fmt.Sprintf("%+q", s)
}

func advertisedByPeer(r Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if adv.ClusterID != r.Peer.ClusterID {
		return refuse(v1alpha1.RefusedCluster, "clusterID is %s, but the peer is %s: a cluster speaks only for itself", quote(adv.ClusterID), r.Peer.ClusterID)
	}
	return accept()
}

func advertisedForReader(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	switch {
	case adv.MinReader > v1alpha1.ReaderVersion:
		return refuse(v1alpha1.RefusedVersion, "minReader is %d, this cluster reads %d: the last good advertisement stays in use; upgrade mc-wan here", adv.MinReader, v1alpha1.ReaderVersion)
	case adv.MinReader < 0:
		return refuse(v1alpha1.RefusedBounds, "minReader is %d, must not be negative", adv.MinReader)
	}
	return accept()
}

func advertisedName(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if len(validation.IsDNS1123Label(adv.Namespace)) != 0 {
		return refuse(v1alpha1.RefusedName, "namespace must be a DNS label")
	}
	if len(validation.IsDNS1123Label(adv.Name)) != 0 {
		return refuse(v1alpha1.RefusedName, "name must be a DNS label")
	}
	return accept()
}

// advertisedNamespace: a peer speaks only of namespaces that its Peer lists in spec.namespaces, and never of those that run
// the cluster or the mesh, whatever the Peer says.
func advertisedNamespace(r Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	ns := adv.Namespace
	protected := mcs.ProtectedNamespace(ns) || slices.Contains(r.Protected, ns)
	switch {
	case protected:
		return refuse(v1alpha1.RefusedNamespace, "namespace %s is protected: no peer may import into it", quote(ns))
	case !slices.Contains(r.Peer.Namespaces, ns) && !slices.Contains(r.Peer.Namespaces, "*"):
		return refuse(v1alpha1.RefusedNamespace, "namespace %s is not among spec.namespaces of the Peer: add it there to let the service in", quote(ns))
	}
	return accept()
}

// advertisedTimes: a zero exportedAt would win every conflict between exporters.
func advertisedTimes(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if adv.ExportedAt.IsZero() || !writable(adv.ExportedAt.Year()) {
		return refuse(v1alpha1.RefusedBounds, "exportedAt must be a time")
	}
	if adv.DrainDeadline != nil && !writable(adv.DrainDeadline.Year()) {
		return refuse(v1alpha1.RefusedBounds, "drainDeadline must be a time")
	}
	return accept()
}

func writable(year int) bool { return year >= minYear && year <= maxYear }

func advertisedType(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	switch adv.Type {
	case "ClusterSetIP":
		if len(adv.Ports) == 0 {
			return refuse(v1alpha1.RefusedPort, "a service of type ClusterSetIP needs a port")
		}
	case "Headless":
	default:
		return refuse(v1alpha1.RefusedBounds, "type is %s, must be ClusterSetIP or Headless", quote(adv.Type))
	}
	if v := advertisedEndpoints(adv); v.reason != "" {
		return v
	}
	families := map[corev1.IPFamily]bool{}
	for _, f := range adv.IPFamilies {
		if (f != corev1.IPv4Protocol && f != corev1.IPv6Protocol) || families[f] {
			return refuse(v1alpha1.RefusedBounds, "ipFamilies must be IPv4 or IPv6, each once")
		}
		families[f] = true
	}
	return accept()
}

// advertisedEndpoints: each costs this cluster an address and listeners.
func advertisedEndpoints(adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if n := len(adv.Endpoints); n > v1alpha1.MaxEndpoints {
		return refuse(v1alpha1.RefusedBounds, "%d endpoints, at most %d are taken", n, v1alpha1.MaxEndpoints)
	}
	hostnames := map[string]bool{}
	for _, e := range adv.Endpoints {
		if len(validation.IsDNS1123Label(e.Hostname)) != 0 || hostnames[e.Hostname] ||
			!mcs.EndpointNameFits(e.Hostname, adv.ClusterID, adv.Name, adv.Namespace) {
			return refuse(v1alpha1.RefusedName, "the hostname %s of an endpoint must be a DNS label, be there once, and make a name that DNS can hold", quote(e.Hostname))
		}
		hostnames[e.Hostname] = true
	}
	return accept()
}

func advertisedPorts(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if len(adv.Ports) > maxPorts {
		return refuse(v1alpha1.RefusedBounds, "%d ports, at most %d are taken", len(adv.Ports), maxPorts)
	}
	type number struct {
		protocol corev1.Protocol
		port     int32
	}
	numbers, names := map[number]bool{}, map[string]bool{}
	for i := range adv.Ports {
		p := &adv.Ports[i]
		if v := advertisedPort(p, len(adv.Ports) > 1); v.reason != "" {
			return v
		}
		n := number{p.Protocol, p.Port}
		if numbers[n] || names[p.Name] {
			return refuse(v1alpha1.RefusedPort, "port %s %d (%s) is listed twice", p.Protocol, p.Port, quote(p.Name))
		}
		numbers[n], names[p.Name] = true, true
	}
	return accept()
}

func advertisedPort(p *v1alpha1.AdvertisedPort, named bool) verdict {
	switch {
	case p.Port < 1 || p.Port > 65535:
		return refuse(v1alpha1.RefusedPort, "port %d is not within 1 to 65535", p.Port)
	case p.Protocol != corev1.ProtocolTCP && p.Protocol != corev1.ProtocolUDP && p.Protocol != corev1.ProtocolSCTP:
		return refuse(v1alpha1.RefusedPort, "port %d: protocol must be TCP, UDP or SCTP", p.Port)
	case p.Name == "" && named:
		return refuse(v1alpha1.RefusedPort, "port %d needs a name, since the service has several ports", p.Port)
	case p.Name != "" && len(validation.IsDNS1123Label(p.Name)) != 0:
		return refuse(v1alpha1.RefusedPort, "port %d: name %s must be a DNS label", p.Port, quote(p.Name))
	case p.AppProtocol != nil && len(validation.IsQualifiedName(*p.AppProtocol)) != 0:
		return refuse(v1alpha1.RefusedPort, "port %d: appProtocol must be a qualified name such as http2", p.Port)
	case p.ReadyBackends < 0 || p.ReadyBackends > maxReadyBackends:
		return refuse(v1alpha1.RefusedBounds, "port %d: readyBackends %d is not within 0 to %d", p.Port, p.ReadyBackends, maxReadyBackends)
	}
	return accept()
}

func advertisedAffinity(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	switch adv.SessionAffinity {
	case "", corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP:
	default:
		return refuse(v1alpha1.RefusedBounds, "sessionAffinity must be None or ClientIP")
	}
	if c := adv.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		if s := *c.ClientIP.TimeoutSeconds; s < 1 || s > maxAffinitySeconds {
			return refuse(v1alpha1.RefusedBounds, "sessionAffinityConfig.clientIP.timeoutSeconds %d is not within 1 to %d", s, maxAffinitySeconds)
		}
	}
	return accept()
}

func advertisedTraffic(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if p := adv.InternalTrafficPolicy; p != nil && *p != corev1.ServiceInternalTrafficPolicyCluster && *p != corev1.ServiceInternalTrafficPolicyLocal {
		return refuse(v1alpha1.RefusedBounds, "internalTrafficPolicy must be Cluster or Local")
	}
	if d := adv.TrafficDistribution; d != nil && (len(*d) > validation.DNS1123LabelMaxLength || len(validation.IsQualifiedName(*d)) != 0) {
		return refuse(v1alpha1.RefusedBounds, "trafficDistribution must be a word such as PreferClose")
	}
	return accept()
}

func advertisedExtras(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	for _, exported := range []map[string]string{adv.ExportedLabels, adv.ExportedAnnotations} {
		if len(exported) > mcs.MaxExportedKeys || mapBytes(exported) > mcs.MaxExportedBytes {
			return refuse(v1alpha1.RefusedBounds, "at most %d exported labels of %d bytes in all are taken, and as many annotations", mcs.MaxExportedKeys, mcs.MaxExportedBytes)
		}
	}
	// Sorted, so that of several bad ones always the same is named.
	for _, key := range slices.Sorted(maps.Keys(adv.ExportedLabels)) {
		if v := exportedKey(key); v.reason != "" {
			return v
		}
		if len(validation.IsValidLabelValue(adv.ExportedLabels[key])) != 0 {
			return refuse(v1alpha1.RefusedBounds, "the value of the exported label %s is not a label value", quote(key))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(adv.ExportedAnnotations)) {
		if v := exportedKey(key); v.reason != "" {
			return v
		}
	}
	return accept()
}

// exportedKey keeps peers from writing the labels and annotations by which the controller knows its own objects.
func exportedKey(key string) verdict {
	if len(validation.IsQualifiedName(strings.ToLower(key))) != 0 {
		return refuse(v1alpha1.RefusedBounds, "the exported key %s is not a qualified name", quote(key))
	}
	if mcs.ReservedKey(key) {
		return refuse(v1alpha1.RefusedBounds, "the exported key %s is one by which the controller knows its own objects", quote(key))
	}
	return accept()
}

func mapBytes(m map[string]string) (n int) {
	for k, v := range m {
		n += len(k) + len(v)
	}
	return n
}

func advertisedPolicy(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if adv.WANPolicy != "" && len(validation.IsDNS1123Label(adv.WANPolicy)) != 0 {
		return refuse(v1alpha1.RefusedName, "wanPolicy %s must be a DNS label", quote(adv.WANPolicy))
	}
	if advertise.CheckFailover(adv.Failover) != nil {
		return refuse(v1alpha1.RefusedBounds, "failover cannot be acted on: mode %s, %d policies", quote(string(adv.Failover.Mode)), len(adv.Failover.To))
	}
	if err := mcs.CheckIdempotent(adv.IdempotentMethods); err != nil {
		return refuse(v1alpha1.RefusedBounds, "%v", err)
	}
	return accept()
}

// advertisedRules: what becomes configuration of the own egress gateway.
func advertisedRules(_ Rules, adv *v1alpha1.ServiceAdvertisementSpec) verdict {
	if adv.Rules == nil {
		return accept()
	}
	if err := mcs.CheckOwnerRules(adv.Rules); err != nil {
		return refuse(v1alpha1.RefusedBounds, "rules.%s", err)
	}
	return accept()
}
