// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"slices"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// lister is snapshot.Lister over the cache, for one reconciliation. Unreadable is not empty: after anything was collected
// from it, Err must be asked before the result is used.
type lister struct {
	ctx   context.Context
	cache client.Reader
	self  translate.Cluster
	table func() ports.Table
	// health are the verdicts on hops; nil while none have been made in this life of the process.
	health func() map[translate.HopKey]v1alpha1.HopState
	// accepted are the accepted Peers, once they have been asked for.
	accepted map[string]v1alpha1.Peer
	err      error
}

var _ snapshot.Lister = (*lister)(nil)

// Err is what could not be read.
func (l *lister) Err() error { return l.err }

func (l *lister) fail(err error) { l.err = errors.Join(l.err, err) }

// list reads without copying: what comes out of a Lister is not changed.
func (l *lister) list(list client.ObjectList, opts ...client.ListOption) {
	if err := l.cache.List(l.ctx, list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		l.fail(err)
	}
}

// get reads one object; false when there is none.
func (l *lister) get(namespace, name string, obj client.Object) bool {
	err := l.cache.Get(l.ctx, types.NamespacedName{Namespace: namespace, Name: name}, obj)
	if err != nil && !apierrors.IsNotFound(err) {
		l.fail(err)
	}
	return err == nil
}

func (l *lister) Self() translate.Cluster { return l.self }

func (l *lister) Policies() []v1alpha1.WANPolicy {
	var list v1alpha1.WANPolicyList
	l.list(&list)
	return list.Items
}

func (l *lister) Peers() []v1alpha1.Peer {
	var list v1alpha1.PeerList
	l.list(&list, client.InNamespace(v1alpha1.Namespace))
	return list.Items
}

func (l *lister) Accepted() map[string]v1alpha1.Peer {
	if l.accepted == nil {
		l.accepted = snapshot.Accepted(l.self, l.Peers())
	}
	return l.accepted
}

func (l *lister) Cards() []v1alpha1.ClusterAdvertisement {
	var list v1alpha1.ClusterAdvertisementList
	l.list(&list, client.InNamespace(v1alpha1.Namespace))
	return list.Items
}

func (l *lister) Advertisements(namespace, name string) []v1alpha1.ServiceAdvertisement {
	var list v1alpha1.ServiceAdvertisementList
	service := types.NamespacedName{Namespace: namespace, Name: name}
	l.list(&list, client.InNamespace(v1alpha1.Namespace), client.MatchingFields{indexService: service.String()})
	return list.Items
}

func (l *lister) Export(namespace, name string) *mcsv1beta1.ServiceExport {
	return found(l, namespace, name, &mcsv1beta1.ServiceExport{})
}

func (l *lister) Import(namespace, name string) *mcsv1beta1.ServiceImport {
	return found(l, namespace, name, &mcsv1beta1.ServiceImport{})
}

func (l *lister) Rules(namespace, name string) *mcwanv1alpha1.ServiceImport {
	return found(l, namespace, name, &mcwanv1alpha1.ServiceImport{})
}

func (l *lister) OwnerRules(namespace, name string) *mcwanv1alpha1.ServiceExport {
	return found(l, namespace, name, &mcwanv1alpha1.ServiceExport{})
}

func (l *lister) Service(namespace, name string) *corev1.Service {
	return found(l, namespace, name, &corev1.Service{})
}

func (l *lister) Slices(namespace, name string) []discoveryv1.EndpointSlice {
	var list discoveryv1.EndpointSliceList
	l.list(&list, client.InNamespace(namespace), client.MatchingFields{indexService: name})
	return list.Items
}

func (l *lister) Namespace(name string) *corev1.Namespace {
	return found(l, "", name, &corev1.Namespace{})
}

func (l *lister) PortTable() ports.Table { return l.table() }

// EndpointAddresses come from the ServiceEntry, which stays while the endpoint's derived Service is made anew.
func (l *lister) EndpointAddresses(namespace, name string, e translate.EndpointKey) []string {
	entry := found(l, namespace, translate.EndpointServiceEntryName(name, e), &networkingv1.ServiceEntry{})
	if entry == nil || !isOurs(entry) {
		return nil
	}
	return slices.Clone(entry.Spec.Addresses)
}

func (l *lister) LegShares(namespace, name string, port int32) translate.Shares {
	leg := found(l, v1alpha1.Namespace, translate.LegName(namespace, name, port), &networkingv1.VirtualService{})
	if leg == nil {
		return nil
	}
	return translate.ParseShares(leg.Annotations[translate.AnnotationShares])
}

func (l *lister) PathShares(key translate.PathKey) translate.Shares {
	path := found(l, v1alpha1.Namespace, translate.PathName(key), &networkingv1.ServiceEntry{})
	if path == nil {
		return nil
	}
	return translate.ParseShares(path.Annotations[translate.AnnotationShares])
}

// Health are the verdicts of the prober; before its first ones those that stand in the Peers' status, so that a controller
// that starts finds the order in which it left.
func (l *lister) Health() map[translate.HopKey]v1alpha1.HopState {
	if verdicts := l.health(); verdicts != nil {
		return verdicts
	}
	return snapshot.StatusHealth(l.Peers())
}

// FormerPorts implements snapshot.Lister.
func (l *lister) FormerPorts() map[string][]int32 {
	out, policies := map[string][]int32{}, l.Policies()
	for i := range policies {
		standing := found(l, v1alpha1.Namespace, translate.PolicyGatewayName(policies[i].Name), &networkingv1.Gateway{})
		if standing == nil {
			continue
		}
		if former := translate.FormerPorts(standing, policies); len(former) > 0 {
			out[policies[i].Name] = former
		}
	}
	return out
}

// FormerPeers implements snapshot.Lister.
func (l *lister) FormerPeers() []string {
	standing := found(l, v1alpha1.Namespace, translate.IngressAdmissionName, &securityv1.AuthorizationPolicy{})
	if standing == nil || !isOurs(standing) {
		return nil
	}
	return translate.FormerPeers(standing, l.self, translate.AcceptedPeers(l.self, l.Peers()))
}

// found is obj filled in, nil when there is no object of that name.
func found[T client.Object](l *lister, namespace, name string, obj T) T {
	var none T
	if l.get(namespace, name, obj) {
		return obj
	}
	return none
}
