// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// importReconciler makes a service that some cluster exports callable here.
type importReconciler struct{ *core }

func (r *importReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	key := req.NamespacedName
	l := r.lister(ctx)
	advertisements := l.Advertisements(key.Namespace, key.Name)
	merged := snapshot.Merged(l, key)
	here := merged.Exported() && namespaceStands(l.Namespace(key.Namespace))
	hold := r.hold(l, key)
	byHand := snapshot.WrittenByHand(l, key)
	if err := l.Err(); err != nil {
		return reconcile.Result{}, err
	}
	for _, one := range byHand {
		if err := r.judged(ctx, one); err != nil {
			return reconcile.Result{}, err
		}
	}
	if here && hold > 0 {
		return reconcile.Result{RequeueAfter: hold}, r.reportUnwritten(ctx, key, &mcs.Problem{
			Reason: mcwanv1alpha1.ReasonPending, Message: "The service is not imported before all peers have been read, or given up on.",
		})
	}
	var wait time.Duration
	var err error
	if here {
		wait, err = r.provide(ctx, key, merged)
		err = errors.Join(err, r.reportUnwritten(ctx, key, whyUnwritten(err)))
	} else {
		err = r.withdraw(ctx, key)
	}
	if err == nil && !here {
		err = r.reportRules(ctx, key, translate.RulesConditions(translate.LegInput{
			Namespace: key.Namespace, Name: key.Name, Rules: l.Rules(key.Namespace, key.Name),
		}, nil))
	}
	if err != nil || wait > 0 {
		result, err := r.standing("import", key, err)
		result.RequeueAfter = max(result.RequeueAfter, wait)
		return result, err
	}
	return reconcile.Result{RequeueAfter: r.acknowledge(key, advertisements)}, nil
}

// judged tells in an advertisement that was written by hand whether it is acted on.
func (r *importReconciler) judged(ctx context.Context, one snapshot.ByHand) error {
	told := &v1alpha1.ServiceAdvertisement{ObjectMeta: metav1.ObjectMeta{
		Namespace: one.Advertisement.Namespace, Name: one.Advertisement.Name, UID: one.Advertisement.UID, Generation: one.Advertisement.Generation,
	}}
	told.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(v1alpha1.ServiceAdvertisementKind))
	told.Status = &v1alpha1.ServiceAdvertisementStatus{Conditions: []metav1.Condition{one.Accepted()}}
	return r.status(ctx, told)
}

// hold is how long a service that is not imported yet has to wait for peers that have not been read yet.
func (r *importReconciler) hold(l *lister, key types.NamespacedName) time.Duration {
	if existing := l.Import(key.Namespace, key.Name); existing != nil && isOurs(existing) {
		return 0
	}
	var ids []string
	for _, p := range translate.AcceptedPeers(r.self, l.Peers()) {
		r.recall(p)
		ids = append(ids, p.Spec.ClusterID)
	}
	return r.gate.wait(ids, key)
}

// recall takes over that a peer was given up on before this life of the process: a cluster that is down for long must
// not hold up new imports after every restart.
func (c *core) recall(p v1alpha1.Peer) {
	ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.Reason == v1alpha1.ReasonGivenUp {
		c.gate.giveUp(p.Spec.ClusterID)
	}
}

func namespaceStands(ns *corev1.Namespace) bool {
	return ns != nil && ns.DeletionTimestamp == nil && ns.Status.Phase != corev1.NamespaceTerminating
}

// provide writes an import: ports, derived Service, paths, legs, and last what makes clients come. It returns how long
// routes that carry traffic have to wait for paths that have just been made; until then they stay as they are.
func (r *importReconciler) provide(ctx context.Context, key types.NamespacedName, merged mcs.Merged) (time.Duration, error) {
	if err := r.free(ctx, key); err != nil {
		return 0, err
	}
	if err := r.allocate(ctx, key, merged); err != nil {
		return 0, err
	}
	l := r.lister(ctx)
	in := snapshot.ImportInput(l, key)
	if err := l.Err(); err != nil {
		return 0, err
	}
	carries := carriesTraffic(in)
	leg, err := r.addressed(ctx, &in)
	if err != nil {
		return 0, err
	}
	if err := r.ensurePaths(ctx, importOwner(key), leg.Paths); err != nil {
		return 0, err
	}
	if carries {
		if wait := r.paths.unsettled(leg.Paths, r.opts.PathSettle); wait > 0 {
			return wait, nil
		}
	}
	return 0, r.serve(ctx, key, in, leg)
}

// free tells whether the name is free for an import of ours: everything else depends on the ServiceImport, so nothing is
// begun that could not be finished.
func (r *importReconciler) free(ctx context.Context, key types.NamespacedName) error {
	l := r.lister(ctx)
	existing := l.Import(key.Namespace, key.Name)
	if existing != nil && !isOurs(existing) {
		return &apply.ForeignError{Ref: apply.Ref{
			GroupVersionKind: r.mcs.Kind(mcsv1beta1.ServiceImportKindName), Namespace: key.Namespace, Name: key.Name,
		}}
	}
	return l.Err()
}

// allocate gives the service its ports at the egress gateway: written down before anything uses them.
func (r *importReconciler) allocate(ctx context.Context, key types.NamespacedName, merged mcs.Merged) error {
	l := r.lister(ctx)
	dummies, exports := snapshot.Dummies(l, key, merged), snapshot.Exports(l, key)
	if err := l.Err(); err != nil {
		return err
	}
	r.waitForNames(key, dummies)
	change := func(table ports.Table) ports.Table {
		table, _ = snapshot.LegPorts(table, merged, key)
		table = snapshot.EndpointPorts(table, merged, exports, key)
		return snapshot.DummyPorts(table, merged, key, dummies)
	}
	if r.ports.Loaded() && change(r.ports.Table()).Equal(r.ports.Table()) {
		return nil
	}
	return r.ports.Update(ctx, change)
}

// carriesTraffic says whether legs of the import may be in use already.
func carriesTraffic(in translate.LegInput) bool {
	for _, e := range in.Endpoints {
		if len(e.VIPs) > 0 {
			return true
		}
	}
	return len(in.Previous) > 0 || len(in.Wanted) > 0
}

// addressed writes the derived Services of an import and puts the addresses that they have got into what the legs are
// made of.
func (r *importReconciler) addressed(ctx context.Context, in *translate.LegInput) (translate.LegResult, error) {
	leg, changed := translate.Leg(*in), false
	vips, err := r.address(ctx, leg.Service, in.VIPs)
	if err != nil {
		return leg, err
	}
	if !slices.Equal(vips, in.VIPs) {
		in.VIPs, changed = vips, true
	}
	for _, e := range leg.EndpointServices {
		state := in.Endpoints[e.Endpoint]
		vips, err := r.address(ctx, e.Service, state.VIPs)
		if err != nil {
			return leg, err
		}
		if !slices.Equal(vips, state.VIPs) {
			state.VIPs, changed = vips, true
			in.Endpoints[e.Endpoint] = state
		}
	}
	if changed {
		leg = translate.Leg(*in)
	}
	return leg, nil
}

// address writes a derived Service and returns its ClusterIPs: the ClusterSetIP of the import, or the address of one
// endpoint of a headless import.
func (r *importReconciler) address(ctx context.Context, service *corev1.Service, known []string) ([]string, error) {
	if service == nil {
		return known, nil
	}
	change, err := r.writeService(ctx, service)
	if err != nil {
		return nil, err
	}
	if change.Result == nil {
		return known, nil
	}
	return clusterIPs(change)
}

// writeService asks for the addresses that the import had when its derived Service has to be made anew. Where someone
// else has them by now, others will do. An API server gives the addresses of a Service back only after it has told of
// the deletion, so a refusal is final only after a second.
func (r *importReconciler) writeService(ctx context.Context, service *corev1.Service) (change apply.Change, err error) {
	release := wait.Backoff{Duration: 20 * time.Millisecond, Factor: 2, Steps: 7}
	refused := func(err error) bool { return service.Spec.ClusterIP != "" && apierrors.IsInvalid(err) }
	err = retry.OnError(release, refused, func() error {
		change, err = r.writeOne(ctx, service)
		return err
	})
	if !refused(err) {
		return change, err
	}
	other := service.DeepCopy()
	other.Spec.ClusterIP, other.Spec.ClusterIPs = "", nil
	return r.writeOne(ctx, other)
}

func clusterIPs(change apply.Change) ([]string, error) {
	spec, _ := change.Result.Object["spec"].(map[string]any)
	list, _ := spec["clusterIPs"].([]any)
	var out []string
	for _, ip := range list {
		if s, ok := ip.(string); ok && s != "" && s != corev1.ClusterIPNone {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the API server gave the derived Service no ClusterIP")
	}
	return out, nil
}

// serve writes legs, then what makes clients come, tells of it, and only then writes dummy Services; then takes away, in
// reverse, what is no longer wanted.
func (r *importReconciler) serve(ctx context.Context, key types.NamespacedName, in translate.LegInput, leg translate.LegResult) error {
	owner := importOwner(key)
	if err := r.write(ctx, leg.Objects...); err != nil {
		return err
	}
	written, err := r.writeOne(ctx, leg.Import)
	if err != nil {
		return err
	}
	if err := r.report(ctx, in, leg, written); err != nil {
		return err
	}
	keep := append(slices.Clone(leg.Objects), leg.Import)
	if err := r.write(ctx, leg.DummyObjects...); err != nil {
		return err
	}
	keep = append(keep, leg.DummyObjects...)
	if leg.Service != nil {
		keep = append(keep, leg.Service)
	}
	for _, e := range leg.EndpointServices {
		keep = append(keep, e.Service)
	}
	if err := r.prune(ctx, owner, r.importKinds(), keep); err != nil {
		return err
	}
	return r.releasePaths(ctx, owner, leg.Paths)
}

// report tells in the ServiceImport, as it was just written, what became of it. The cache may not have that yet, and it
// is the new generation that the conditions are about.
func (r *importReconciler) report(ctx context.Context, in translate.LegInput, leg translate.LegResult, written apply.Change) error {
	told := leg.Import.DeepCopy()
	l := r.lister(ctx)
	if written.Result != nil {
		told.Generation, told.UID = written.Result.GetGeneration(), written.Result.GetUID()
	} else if live := l.Import(in.Namespace, in.Name); live != nil {
		told.Generation, told.UID = live.Generation, live.UID
	}
	if err := l.Err(); err != nil {
		return err
	}
	told.Status.Conditions = mcs.ImportConditions(mcs.ImportState{
		Generation: told.Generation,
		Merged:     in.Merged,
		IPs:        leg.Import.Spec.IPs,
		Problem:    leg.Problem,
		Dummies:    leg.Dummies,
		Rules:      leg.InForce,
	})
	if err := r.status(ctx, told); err != nil {
		return err
	}
	return r.reportRules(ctx, types.NamespacedName{Namespace: in.Namespace, Name: in.Name}, leg.Rules)
}

// waitForNames has the import looked at again when a Service goes that has the name of one of its dummy Services.
func (r *importReconciler) waitForNames(key types.NamespacedName, dummies []translate.Dummy) {
	for _, d := range dummies {
		if d.Problem != nil && d.Problem.Reason == v1alpha1.ReasonNameTaken {
			r.blocked.add(serviceRef(translate.DummyServiceName(key.Namespace, key.Name, d.Policy)), "import", key)
		}
	}
}

// reportRules tells in the ServiceImport of mc-wan.l7mp.io what became of its rules; nothing where there are none.
func (r *importReconciler) reportRules(ctx context.Context, key types.NamespacedName, conditions []metav1.Condition) error {
	l := r.lister(ctx)
	live := l.Rules(key.Namespace, key.Name)
	if err := l.Err(); err != nil {
		return err
	}
	if live == nil || live.DeletionTimestamp != nil || len(conditions) == 0 {
		return nil
	}
	told := &mcwanv1alpha1.ServiceImport{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, Generation: live.Generation, UID: live.UID,
	}}
	told.SetGroupVersionKind(mcwanv1alpha1.GroupVersion().WithKind(mcwanv1alpha1.ServiceImportKind))
	told.Status.Conditions = conditions
	return r.status(ctx, told)
}

// reportUnwritten tells in the ServiceImport of mc-wan.l7mp.io why the routes of its rules are not written; nothing for nil.
func (r *importReconciler) reportUnwritten(ctx context.Context, key types.NamespacedName, problem *mcs.Problem) error {
	if problem == nil {
		return nil
	}
	l := r.lister(ctx)
	in := snapshot.ImportInput(l, key)
	if err := l.Err(); err != nil {
		return err
	}
	return r.reportRules(ctx, key, translate.RulesConditions(in, problem))
}

// whyUnwritten is what an error says of rules, for errors that trying again does not cure; nil for others.
func whyUnwritten(err error) *mcs.Problem {
	foreign, isForeign := apply.IsForeign(err)
	switch {
	case isForeign:
		return &mcs.Problem{Reason: mcwanv1alpha1.ReasonNameTaken, Message: fmt.Sprintf(
			"%s; the routes of the egress gateway stay as they were. Rename or remove that object.", foreign)}
	case apierrors.IsRequestEntityTooLargeError(err), err != nil && strings.Contains(err.Error(), "request is too large"):
		return &mcs.Problem{Reason: mcwanv1alpha1.ReasonTooLarge, Message: fmt.Sprintf(
			"The routes of the egress gateway are larger than the API server takes, and stay as they were: use fewer backendRefs or matches. %s", err)}
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsInternalError(err):
		return &mcs.Problem{Reason: mcwanv1alpha1.ReasonNotWritten, Message: fmt.Sprintf(
			"The API server refuses what the import needs, and the routes of the egress gateway stay as they were: %s", err)}
	}
	return nil
}

// withdraw takes an import away, what makes clients come first, and gives its ports back.
func (r *importReconciler) withdraw(ctx context.Context, key types.NamespacedName) error {
	owner := importOwner(key)
	if err := r.prune(ctx, owner, r.importKinds(), nil); err != nil {
		return err
	}
	if err := r.releasePaths(ctx, owner, nil); err != nil {
		return err
	}
	return r.allocate(ctx, key, mcs.Merged{})
}

// acknowledge notes which draining exporters what stands no longer relies on; it returns when to look again.
func (r *importReconciler) acknowledge(key types.NamespacedName, advertisements []v1alpha1.ServiceAdvertisement) time.Duration {
	changed, wait := r.drains.avoid(key, advertisements)
	if changed {
		r.fleet.askAfter(0, types.NamespacedName{Name: fleetKey})
		r.exports.ask(key)
	}
	return wait
}
