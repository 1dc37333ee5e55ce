// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// ServiceStatus is what `status NAME/NAMESPACE -o json` prints.
type ServiceStatus struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Host      string `json:"host"`
	// Cluster is the id of the cluster that was asked.
	Cluster string `json:"cluster"`
	// Ready sums up; Why says what is lacking.
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"`
	// Exported: this cluster exports it. Imported: this cluster has a ServiceImport of it.
	Exported bool     `json:"exported"`
	Imported bool     `json:"imported"`
	Type     string   `json:"type,omitempty"`
	IPs      []string `json:"ips,omitempty"`
	// Idempotent are the methods besides GET, HEAD and OPTIONS that are repeated, because all exports call them so.
	Idempotent []string `json:"idempotentMethods,omitempty"`
	// Policy is the WAN policy in use: that of the oldest export, else the default one.
	Policy           *PolicyInUse       `json:"policy,omitempty"`
	Ports            []PortStatus       `json:"ports"`
	Exporters        []ExporterStatus   `json:"exporters"`
	Hops             []HopStatus        `json:"hops"`
	ExportConditions []metav1.Condition `json:"exportConditions,omitempty"`
	ImportConditions []metav1.Condition `json:"importConditions,omitempty"`
}

// PolicyInUse is a WAN policy as this cluster has it.
type PolicyInUse struct {
	Name    string `json:"name"`
	Tunnel  string `json:"tunnel,omitempty"`
	Port    int32  `json:"port,omitempty"`
	Default bool   `json:"default,omitempty"`
	Missing bool   `json:"missing,omitempty"`
	// Failover is where the traffic goes when the tunnel fails; that of the export, else of the policy.
	Failover string `json:"failover,omitempty"`
}

// PortStatus is a port of the service as all clusters export it.
type PortStatus struct {
	Name        string          `json:"name,omitempty"`
	Port        int32           `json:"port"`
	Protocol    corev1.Protocol `json:"protocol"`
	AppProtocol string          `json:"appProtocol,omitempty"`
}

// ExporterStatus is one exporting cluster.
type ExporterStatus struct {
	Cluster string `json:"cluster"`
	Own     bool   `json:"own,omitempty"`
	// ByHand: the cluster has not joined; what is known of it was written by a person (mcwanctl import).
	ByHand   bool        `json:"byHand,omitempty"`
	Policy   string      `json:"policy,omitempty"`
	Since    metav1.Time `json:"since"`
	Draining bool        `json:"draining,omitempty"`
	// Ready is how many backends are ready, by port; rounded by the exporter, zero is exact.
	Ready map[string]int32 `json:"ready"`
	// Endpoints are the names of the ready endpoints of a headless service.
	Endpoints []string `json:"endpoints,omitempty"`
}

// HopStatus is one way to an exporter.
type HopStatus struct {
	Cluster string            `json:"cluster"`
	Policy  string            `json:"policy"`
	Tunnel  string            `json:"tunnel,omitempty"`
	Address string            `json:"address"`
	Port    int32             `json:"port"`
	State   v1alpha1.HopState `json:"state"`
}

// serviceStatus works the status out of what was read.
func serviceStatus(f serviceFacts) ServiceStatus {
	specs := make([]v1alpha1.ServiceAdvertisementSpec, 0, len(f.adverts))
	for _, a := range f.adverts {
		specs = append(specs, a.Spec)
	}
	merged := mcs.Merge(specs)
	s := ServiceStatus{
		Name: f.key.Name, Namespace: f.key.Namespace, Host: host(f.key), Cluster: f.own.ClusterID,
		Exported: f.export != nil, Imported: f.imported != nil,
		Type:       string(merged.Type),
		Policy:     policyInUse(merged, f.policies),
		Ports:      portStatus(merged),
		Exporters:  exporterStatus(f),
		Idempotent: merged.Idempotent,
	}
	s.Hops = hopStatus(f, merged.Clusters, s.Policy)
	if f.export != nil {
		s.ExportConditions = sortedConditions(f.export.Status.Conditions)
	}
	if f.imported != nil {
		s.Type = string(f.imported.Spec.Type)
		s.IPs = f.imported.Spec.IPs
		s.ImportConditions = sortedConditions(f.imported.Status.Conditions)
	}
	s.Why = lacking(f, s)
	s.Ready = s.Why == ""
	return s
}

func policyInUse(merged mcs.Merged, all []v1alpha1.WANPolicy) *PolicyInUse {
	if !merged.Exported() {
		return nil
	}
	policy, isDefault := v1alpha1.WANPolicy{}, merged.WANPolicy == ""
	if isDefault {
		standard, found := advertise.DefaultPolicy(all)
		if !found {
			return nil
		}
		policy = standard
	} else {
		i := slices.IndexFunc(all, func(p v1alpha1.WANPolicy) bool { return p.Name == merged.WANPolicy })
		if i < 0 {
			return &PolicyInUse{Name: merged.WANPolicy, Missing: true, Failover: advertise.FailoverText(merged.Failover)}
		}
		policy = all[i]
	}
	return &PolicyInUse{
		Name: policy.Name, Tunnel: policy.Spec.Tunnel, Port: policy.Spec.Port, Default: isDefault,
		Failover: cmp.Or(translate.PathFailover(policy.Name, merged, all), advertise.FailoverText(policy.Spec.Failover)),
	}
}

func portStatus(merged mcs.Merged) []PortStatus {
	out := make([]PortStatus, 0, len(merged.Ports))
	for _, p := range merged.Ports {
		port := PortStatus{Name: p.Name, Port: p.Port, Protocol: cmp.Or(p.Protocol, corev1.ProtocolTCP)}
		if p.AppProtocol != nil {
			port.AppProtocol = *p.AppProtocol
		}
		out = append(out, port)
	}
	return out
}

func exporterStatus(f serviceFacts) []ExporterStatus {
	out := make([]ExporterStatus, 0, len(f.adverts))
	for i := range f.adverts {
		a := &f.adverts[i].Spec
		ready := make(map[string]int32, len(a.Ports))
		for _, p := range a.Ports {
			ready[portName(p)] = p.ReadyBackends
		}
		var endpoints []string
		for _, e := range a.Endpoints {
			endpoints = append(endpoints, e.Hostname+"."+a.ClusterID+"."+host(f.key))
		}
		out = append(out, ExporterStatus{
			Cluster: a.ClusterID, Own: a.ClusterID == f.own.ClusterID, Policy: a.WANPolicy,
			Since: a.ExportedAt, Draining: a.Draining, Ready: ready, Endpoints: endpoints,
			ByHand: snapshot.IsByHand(f.adverts[i].Labels),
		})
	}
	return out
}

func portName(p v1alpha1.AdvertisedPort) string {
	if p.Name != "" {
		return p.Name
	}
	return fmt.Sprint(p.Port)
}

// hopStatus lists the ways to the exporters, those of the policy in use first. Those of the own cluster, and of clusters
// that were written by hand, are what their cards say: there is no Peer that would tell how they are.
func hopStatus(f serviceFacts, exporters []string, policy *PolicyInUse) []HopStatus {
	out := []HopStatus{}
	for _, card := range append([]v1alpha1.ClusterAdvertisementSpec{f.own}, f.cards...) {
		joined := slices.ContainsFunc(f.peers, func(p v1alpha1.Peer) bool { return p.Spec.ClusterID == card.ClusterID })
		if !slices.Contains(exporters, card.ClusterID) || joined {
			continue
		}
		for _, offered := range card.Policies {
			for _, address := range card.Addresses {
				out = append(out, HopStatus{Cluster: card.ClusterID, Policy: offered.Name, Tunnel: offered.Tunnel, Address: address, Port: offered.Port, State: v1alpha1.HopUnknown})
			}
		}
	}
	for _, peer := range f.peers {
		if !slices.Contains(exporters, peer.Spec.ClusterID) {
			continue
		}
		for _, hop := range peer.Status.Hops {
			out = append(out, HopStatus{Cluster: peer.Spec.ClusterID, Policy: hop.Policy, Tunnel: hop.Tunnel, Address: hop.Address, Port: hop.Port, State: cmp.Or(hop.State, v1alpha1.HopUnknown)})
		}
	}
	inUse := func(h HopStatus) int {
		if policy != nil && h.Policy == policy.Name {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b HopStatus) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(inUse(a), inUse(b)), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Address, b.Address))
	})
	return out
}

// lacking says the first thing that keeps the service from being called; empty if nothing does.
func lacking(f serviceFacts, s ServiceStatus) string {
	if f.export != nil {
		if ok, why := exportState(f.export); !ok {
			return "the export is " + why
		}
	}
	if f.imported == nil {
		return fmt.Sprintf("there is no ServiceImport here; the clusters that export it: %d; does namespace %s exist?", len(s.Exporters), f.key.Namespace)
	}
	if ok, why := importState(f.imported); !ok {
		return "the import is " + why
	}
	for _, e := range s.Exporters {
		for _, ready := range e.Ready {
			if ready > 0 {
				return ""
			}
		}
	}
	return "no cluster that exports it has a ready backend"
}

func sortedConditions(in []metav1.Condition) []metav1.Condition {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b metav1.Condition) int { return cmp.Compare(a.Type, b.Type) })
	return out
}
