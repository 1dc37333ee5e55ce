// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// PortTableName is the ConfigMap in mc-wan that says which leg ports belong to whom, see ports.Parse.
const PortTableName = "mcw-leg-ports"

// Files is a Lister over YAML documents, see Read.
type Files struct {
	self     translate.Cluster
	policies []v1alpha1.WANPolicy
	peers    []v1alpha1.Peer
	cards    []v1alpha1.ClusterAdvertisement
	table    ports.Table
	accepted map[string]v1alpha1.Peer

	advertisements map[types.NamespacedName][]v1alpha1.ServiceAdvertisement
	exports        map[types.NamespacedName]mcsv1beta1.ServiceExport
	imports        map[types.NamespacedName]mcsv1beta1.ServiceImport
	rules          map[types.NamespacedName]mcwanv1alpha1.ServiceImport
	ownerRules     map[types.NamespacedName]mcwanv1alpha1.ServiceExport
	services       map[types.NamespacedName]corev1.Service
	slices         map[types.NamespacedName][]discoveryv1.EndpointSlice
	namespaces     map[string]corev1.Namespace
	shares         map[shared]translate.Shares
}

// shared names an object that has translate.AnnotationShares.
type shared struct{ kind, name string }

var _ Lister = (*Files)(nil)

func newFiles() *Files {
	return &Files{
		table:          ports.New(),
		advertisements: map[types.NamespacedName][]v1alpha1.ServiceAdvertisement{},
		exports:        map[types.NamespacedName]mcsv1beta1.ServiceExport{},
		imports:        map[types.NamespacedName]mcsv1beta1.ServiceImport{},
		rules:          map[types.NamespacedName]mcwanv1alpha1.ServiceImport{},
		ownerRules:     map[types.NamespacedName]mcwanv1alpha1.ServiceExport{},
		services:       map[types.NamespacedName]corev1.Service{},
		slices:         map[types.NamespacedName][]discoveryv1.EndpointSlice{},
		namespaces:     map[string]corev1.Namespace{},
		shares:         map[shared]translate.Shares{},
	}
}

// Self is the own cluster.
func (f *Files) Self() translate.Cluster { return f.self }

// Policies are all WANPolicies.
func (f *Files) Policies() []v1alpha1.WANPolicy { return f.policies }

// Peers are all Peers.
func (f *Files) Peers() []v1alpha1.Peer { return f.peers }

// Accepted are the accepted Peers by cluster id, judged once: no Peer may be added after the first call.
func (f *Files) Accepted() map[string]v1alpha1.Peer {
	if f.accepted == nil {
		f.accepted = Accepted(f.self, f.peers)
	}
	return f.accepted
}

// Cards are all ClusterAdvertisements.
func (f *Files) Cards() []v1alpha1.ClusterAdvertisement { return f.cards }

// Advertisements are the ServiceAdvertisements of one service.
func (f *Files) Advertisements(namespace, name string) []v1alpha1.ServiceAdvertisement {
	return f.advertisements[key(namespace, name)]
}

// Export is a ServiceExport; nil if there is none.
func (f *Files) Export(namespace, name string) *mcsv1beta1.ServiceExport {
	return lookup(f.exports, key(namespace, name))
}

// Import is a ServiceImport; nil if there is none.
func (f *Files) Import(namespace, name string) *mcsv1beta1.ServiceImport {
	return lookup(f.imports, key(namespace, name))
}

// Rules are the ServiceImport of mc-wan.l7mp.io; nil if there is none.
func (f *Files) Rules(namespace, name string) *mcwanv1alpha1.ServiceImport {
	return lookup(f.rules, key(namespace, name))
}

// OwnerRules are the ServiceExport of mc-wan.l7mp.io; nil if there is none.
func (f *Files) OwnerRules(namespace, name string) *mcwanv1alpha1.ServiceExport {
	return lookup(f.ownerRules, key(namespace, name))
}

// Service is a Service; nil if there is none. A derived Service that is not in the files is made up from the ips of its
// ServiceImport: it would ask for them.
func (f *Files) Service(namespace, name string) *corev1.Service {
	if s := lookup(f.services, key(namespace, name)); s != nil || namespace != v1alpha1.Namespace {
		return s
	}
	for k, si := range f.imports {
		if len(si.Spec.IPs) > 0 && translate.DerivedServiceName(k.Namespace, k.Name) == name {
			return &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
				Spec:       corev1.ServiceSpec{ClusterIP: si.Spec.IPs[0], ClusterIPs: slices.Clone(si.Spec.IPs)},
			}
		}
	}
	return nil
}

// Slices are the EndpointSlices of a Service.
func (f *Files) Slices(namespace, name string) []discoveryv1.EndpointSlice {
	return f.slices[key(namespace, name)]
}

// Namespace is a Namespace; nil if there is none. Where the files hold none at all, every namespace is there.
func (f *Files) Namespace(name string) *corev1.Namespace {
	if len(f.namespaces) == 0 {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	return lookup(f.namespaces, name)
}

// PortTable is the table of ConfigMap mc-wan/mcw-leg-ports, or an empty one.
func (f *Files) PortTable() ports.Table { return f.table }

// EndpointAddresses are nil: files say what is wanted, not what clients know.
func (f *Files) EndpointAddresses(string, string, translate.EndpointKey) []string { return nil }

// LegShares are the shares on the VirtualService of a leg.
func (f *Files) LegShares(namespace, name string, port int32) translate.Shares {
	return f.shares[shared{"VirtualService", translate.LegName(namespace, name, port)}]
}

// PathShares are the shares on the ServiceEntry of a TCP leg's path.
func (f *Files) PathShares(path translate.PathKey) translate.Shares {
	return f.shares[shared{"ServiceEntry", translate.PathName(path)}]
}

// FormerPorts are none: files are rendered as for a cluster in which nothing is under way.
func (f *Files) FormerPorts() map[string][]int32 { return nil }

// FormerPeers are none, as FormerPorts.
func (f *Files) FormerPeers() []string { return nil }

// Health is what the Peers' status says, where the files hold it.
func (f *Files) Health() map[translate.HopKey]v1alpha1.HopState { return StatusHealth(f.peers) }

// StatusHealth is the verdict on hops that Peers' status says: what the controllers that wrote it acted on.
func StatusHealth(peers []v1alpha1.Peer) map[translate.HopKey]v1alpha1.HopState {
	out := map[translate.HopKey]v1alpha1.HopState{}
	for _, p := range peers {
		doubted := ProbeBroken(p.Status)
		for _, h := range p.Status.Hops {
			key := translate.HopKey{Cluster: p.Spec.ClusterID, Policy: h.Policy, Address: h.Address, Port: h.Port}
			out[key] = translate.Held(Verdict(h), doubted)
		}
	}
	return out
}

// Verdict is the state by which a hop is ordered of which a Peer's status says this.
func Verdict(h v1alpha1.HopStatus) v1alpha1.HopState {
	if h.State == v1alpha1.HopHealthy && h.Reason == v1alpha1.HopReasonReturning {
		return translate.HopReturning
	}
	return h.State
}

// ProbeBroken tells whether what the prober says of a Peer's hops is not believed, so that its status says what it said
// before.
func ProbeBroken(status v1alpha1.PeerStatus) bool {
	c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionHopsHealthy)
	return c != nil && c.Reason == v1alpha1.ReasonProbeBroken
}

func key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func lookup[K comparable, V any](m map[K]V, k K) *V {
	if v, ok := m[k]; ok {
		return &v
	}
	return nil
}
