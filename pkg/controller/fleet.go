// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/mesh"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// holdOff is how long events about the fleet are collected: a changed AuthorizationPolicy or Gateway drains listeners,
// and every new generation of the card goes to every peer.
const holdOff = 100 * time.Millisecond

// fleetReconciler writes what a cluster needs once, its own card, and the status of WAN policies.
type fleetReconciler struct {
	*core
	announcer *feed.Announcer
	// former keeps the ports that policies had before.
	former *linger[int32]
	// leaving keeps the principals of peers that left, of those in welcome: what this controller, or one before it, let in.
	leaving *linger[string]
	welcome map[string]bool
	// kubernetes is the version of the own API server.
	kubernetes string
	// problems are those of the mesh that have been told.
	problems map[string]bool
	// live reads from the API server itself.
	live client.Reader
	// last is the card as it was written last, nil before: peers believe the highest generation, so the next one must not
	// be counted from what the cache shows of an older one.
	last *v1alpha1.ClusterAdvertisementSpec
	// announced says that peers have been told of the card in this life of the process: what changed while nobody ran may
	// have reached none of them.
	announced bool
}

func newFleetReconciler(c *core, announcer *feed.Announcer, live client.Reader, kubernetes string) *fleetReconciler {
	return &fleetReconciler{
		core: c, announcer: announcer, former: newLinger[int32](c.opts.PortLinger, c.now), leaving: newLinger[string](c.opts.LeaveLinger, c.now),
		live: live, kubernetes: kubernetes, problems: map[string]bool{},
	}
}

// Reconcile brings everything of the fleet in line.
func (r *fleetReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	l := r.lister(ctx)
	in := snapshot.FleetInput(l)
	if err := l.Err(); err != nil {
		return reconcile.Result{}, err
	}
	again := sooner(r.closeFormerPorts(ctx, in), r.dismissFormerPeers(&in))
	result := translate.Fleet(in)
	if err := r.provide(ctx, result); err != nil {
		return r.standing(fleetKey, req.NamespacedName, err)
	}
	istio, err := r.lookAtMesh(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := r.publishCard(ctx, in.Policies, istio); err != nil {
		return r.standing(fleetKey, req.NamespacedName, err)
	}
	for i := range in.Policies {
		if err := r.tell(ctx, &in.Policies[i], result.Policies[in.Policies[i].Name], in.Cards); err != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// closeFormerPorts takes those out of in that have stayed long enough, and returns when to look again. When a policy's
// Gateway has let go of them, so do the exports' TLS servers.
func (r *fleetReconciler) closeFormerPorts(ctx context.Context, in translate.FleetInput) time.Duration {
	again := time.Duration(0)
	for _, p := range in.Policies {
		key, former := client.ObjectKey{Name: p.Name}, in.FormerPorts[p.Name]
		knew := r.former.knows(key)
		switch left := r.former.left(key, former); {
		case left > 0:
			again = max(again, left)
		case len(former) > 0:
			delete(in.FormerPorts, p.Name)
			again = max(again, time.Second) // the Gateway as it is read may lag behind
		case knew:
			r.exports.ask(r.allExports(ctx)...)
		}
	}
	return again
}

// dismissFormerPeers takes those out of in that have been let in for long enough since they left, and returns when to look
// again. What somebody else has written into the AuthorizationPolicy is none of them.
func (r *fleetReconciler) dismissFormerPeers(in *translate.FleetInput) time.Duration {
	if r.welcome == nil { // a peer may have left while nobody ran
		r.welcome = map[string]bool{}
		for _, p := range in.FormerPeers {
			r.welcome[p] = true
		}
	}
	for _, p := range translate.MayComeIn(in.Self, translate.AcceptedPeers(in.Self, in.Peers)) {
		r.welcome[p] = true
	}
	in.FormerPeers = slices.DeleteFunc(in.FormerPeers, func(p string) bool { return !r.welcome[p] })
	still, next := r.leaving.staying(client.ObjectKey{Name: translate.IngressAdmissionName}, in.FormerPeers)
	in.FormerPeers = still
	return next
}

// sooner is the shorter of two waits; 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a <= 0 || (b > 0 && b < a) {
		return b
	}
	return a
}

// provide writes the fleet's objects: paths to peers' feeds before the routes to them.
func (r *fleetReconciler) provide(ctx context.Context, result translate.FleetResult) error {
	if err := r.ensurePaths(ctx, fleetKey, result.Paths); err != nil {
		return err
	}
	if err := r.write(ctx, result.Objects...); err != nil {
		return err
	}
	if err := r.prune(ctx, fleetKey, fleetKinds(), result.Objects); err != nil {
		return err
	}
	return r.releasePaths(ctx, fleetKey, result.Paths)
}

// publishCard writes the own card and announces it to peers when it changed.
func (r *fleetReconciler) publishCard(ctx context.Context, policies []v1alpha1.WANPolicy, istio string) error {
	in, err := r.cardInput(ctx, policies, istio)
	if err != nil {
		return err
	}
	card := feed.CardCopy(new(translate.Card(in)))
	if err := r.write(ctx, card); err != nil {
		return err
	}
	r.last = &card.Spec
	if !r.announced || in.Previous == nil || in.Previous.Generation != card.Spec.Generation {
		r.announcer.Announce(card.Spec)
		r.announced = true
	}
	return nil
}

func (r *fleetReconciler) cardInput(ctx context.Context, policies []v1alpha1.WANPolicy, istio string) (translate.CardInput, error) {
	previous, err := r.previousCard(ctx)
	if err != nil {
		return translate.CardInput{}, err
	}
	l := r.lister(ctx)
	in := snapshot.CardInput(l, policies)
	in.Previous = previous
	in.TrustRoot = r.trustRoot(l)
	in.Versions = v1alpha1.Versions{Controller: r.opts.Version, Reader: v1alpha1.ReaderVersion, Kubernetes: r.kubernetes, Istio: istio}
	in.Drained = r.drains.acks(r.self.ID)
	var own v1alpha1.ServiceAdvertisementList
	l.list(&own, client.InNamespace(v1alpha1.Namespace), client.MatchingFields{indexSource: r.self.ID})
	for i := range own.Items {
		if feed.Mine(&own.Items[i], r.self.ID) {
			in.Advertisements++
		}
	}
	return in, l.Err()
}

// previousCard is the card that the next one follows.
func (r *fleetReconciler) previousCard(ctx context.Context) (*v1alpha1.ClusterAdvertisementSpec, error) {
	if r.last != nil {
		return r.last, nil
	}
	card := &v1alpha1.ClusterAdvertisement{}
	err := r.live.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: r.self.ID}, card)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the own card: %w", err)
	}
	if err != nil || !feed.Mine(card, r.self.ID) {
		return nil, nil
	}
	return &card.Spec, nil
}

// trustRoot is the fingerprint of the root that the mesh trusts; empty while istiod has not written it.
func (r *fleetReconciler) trustRoot(l *lister) string {
	root := found(l, v1alpha1.Namespace, mesh.RootConfigMap, &corev1.ConfigMap{})
	if root == nil {
		return ""
	}
	fingerprint, err := mesh.RootFingerprint(root.Data[mesh.RootKey])
	if err != nil {
		r.notes.log.Info("The mesh's root certificate cannot be read", "configMap", mesh.RootConfigMap, "error", err.Error())
	}
	return fingerprint
}

// lookAtMesh returns istiod's version, tells once of each thing about it, or about the cluster's properties, that fights
// mc-wan, and fails when the trust domain is no longer the one that all identities were made of.
func (r *fleetReconciler) lookAtMesh(ctx context.Context) (string, error) {
	l := r.lister(ctx)
	istiod := found(l, r.opts.IstioNamespace, mesh.DeploymentName(r.opts.IstioRevision), &appsv1.Deployment{})
	if err := l.Err(); err != nil {
		return "", fmt.Errorf("looking at istiod: %w", err)
	}
	both, err := r.bothFamilies(ctx)
	if err != nil {
		return "", err
	}
	version, all := "", []finding(nil)
	if istiod != nil {
		version = mesh.Version(*istiod)
		for _, p := range mesh.Problems(*istiod, both) {
			all = append(all, finding{istiod, p})
		}
	}
	of, err := r.properties.problems(ctx, r.self.ID)
	if err != nil {
		return "", err
	}
	r.tellProblems(append(all, of...))
	return version, r.checkTrustDomain(ctx)
}

// finding is a problem and the object that it is about.
type finding struct {
	about client.Object
	mesh.Problem
}

// tellProblems tells of each problem when it comes, and by the metrics as long as it is there.
func (r *fleetReconciler) tellProblems(found []finding) {
	problems := map[string]bool{}
	for _, f := range found {
		problems[f.Reason] = true
		if !r.problems[f.Reason] {
			r.notes.meshProblem(f.about, f.Problem)
		}
	}
	for reason := range r.problems {
		if !problems[reason] {
			r.metrics.meshProblem.DeleteLabelValues(reason)
		}
	}
	for reason := range problems {
		r.metrics.meshProblem.WithLabelValues(reason).Set(1)
	}
	r.problems = problems
}

// bothFamilies tells whether Services of imports have addresses of both families, which they have where the cluster does.
func (r *fleetReconciler) bothFamilies(ctx context.Context) (bool, error) {
	var services corev1.ServiceList
	if err := r.cache.List(ctx, &services, client.InNamespace(v1alpha1.Namespace)); err != nil {
		return false, fmt.Errorf("looking at the families of Services: %w", err)
	}
	return slices.ContainsFunc(services.Items, func(s corev1.Service) bool { return len(s.Spec.ClusterIPs) > 1 }), nil
}

// checkTrustDomain has the controller start anew when the mesh's trust domain has changed: every identity is made of it.
func (r *fleetReconciler) checkTrustDomain(ctx context.Context) error {
	if r.opts.TrustDomain != "" {
		return nil
	}
	l := r.lister(ctx)
	config := found(l, r.opts.IstioNamespace, mesh.ConfigMapName(r.opts.IstioRevision), &corev1.ConfigMap{})
	if config == nil {
		return l.Err() // gone for a moment, or for good: what was read last holds
	}
	domain, err := mesh.TrustDomain(config.Data)
	if err != nil {
		return err
	}
	if domain != r.self.TrustDomain {
		r.restart(fmt.Errorf("the mesh's trust domain changed from %s to %s", r.self.TrustDomain, domain))
	}
	return nil
}

// tell writes a WANPolicy's status.
func (r *fleetReconciler) tell(ctx context.Context, policy *v1alpha1.WANPolicy, ready metav1.Condition, cards []v1alpha1.ClusterAdvertisementSpec) error {
	told := &v1alpha1.WANPolicy{}
	told.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(v1alpha1.WANPolicyKind))
	told.Name, told.UID, told.Generation = policy.Name, policy.UID, policy.Generation
	told.Status = v1alpha1.WANPolicyStatus{Conditions: []metav1.Condition{ready}}
	for _, peer := range translate.PolicyPeers(policy.Name, cards) {
		if peer.ClusterID != r.self.ID {
			told.Status.Peers = append(told.Status.Peers, peer)
		}
	}
	return r.status(ctx, told)
}
