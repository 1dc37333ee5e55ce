// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
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
	if err := l.Err(); err != nil {
		return reconcile.Result{}, err
	}
	if here && hold > 0 {
		return reconcile.Result{RequeueAfter: hold}, nil
	}
	var err error
	if here {
		err = r.provide(ctx, key, merged)
	} else {
		err = r.withdraw(ctx, key)
	}
	if err != nil {
		return r.standing("import", key, err)
	}
	return reconcile.Result{RequeueAfter: r.acknowledge(key, advertisements)}, nil
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

// provide writes an import: ports, derived Service, paths, legs, and last what makes clients come.
func (r *importReconciler) provide(ctx context.Context, key types.NamespacedName, merged mcs.Merged) error {
	if err := r.free(ctx, key); err != nil {
		return err
	}
	if err := r.allocate(ctx, key, merged); err != nil {
		return err
	}
	l := r.lister(ctx)
	in := snapshot.ImportInput(l, key)
	if err := l.Err(); err != nil {
		return err
	}
	leg := translate.Leg(in)
	vips, err := r.address(ctx, leg.Service, in.VIPs)
	if err != nil {
		return err
	}
	if !slices.Equal(vips, in.VIPs) {
		in.VIPs = vips
		leg = translate.Leg(in)
	}
	return r.serve(ctx, key, in, leg)
}

// free tells whether the name is free for an import of ours: everything else depends on the ServiceImport, so nothing is
// begun that could not be finished.
func (r *importReconciler) free(ctx context.Context, key types.NamespacedName) error {
	l := r.lister(ctx)
	existing := l.Import(key.Namespace, key.Name)
	if existing != nil && !isOurs(existing) {
		return &apply.ForeignError{Ref: apply.Ref{
			GroupVersionKind: mcsKind(mcsv1beta1.ServiceImportKindName), Namespace: key.Namespace, Name: key.Name,
		}}
	}
	return l.Err()
}

// allocate gives the service its ports at the egress gateway: written down before anything uses them.
func (r *importReconciler) allocate(ctx context.Context, key types.NamespacedName, merged mcs.Merged) error {
	next, _ := snapshot.LegPorts(r.ports.Table(), merged, key)
	if r.ports.Loaded() && next.Equal(r.ports.Table()) {
		return nil
	}
	return r.ports.Update(ctx, func(table ports.Table) ports.Table {
		table, _ = snapshot.LegPorts(table, merged, key)
		return table
	})
}

// address writes the derived Service and returns its ClusterIPs: the ClusterSetIP of the import.
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
// else has them by now, others will do.
func (r *importReconciler) writeService(ctx context.Context, service *corev1.Service) (apply.Change, error) {
	change, err := r.writeOne(ctx, service)
	if err == nil || service.Spec.ClusterIP == "" || !apierrors.IsInvalid(err) {
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

// serve writes paths, legs, then what makes clients come; then takes away, in reverse, what is no longer wanted.
func (r *importReconciler) serve(ctx context.Context, key types.NamespacedName, in translate.LegInput, leg translate.LegResult) error {
	owner := importOwner(key)
	if err := r.ensurePaths(ctx, owner, leg.Paths); err != nil {
		return err
	}
	keep := append(slices.Clone(leg.Objects), leg.Import)
	if err := r.write(ctx, keep...); err != nil {
		return err
	}
	if leg.Service != nil {
		keep = append(keep, leg.Service)
	}
	if err := r.prune(ctx, owner, importKinds(), keep); err != nil {
		return err
	}
	if err := r.releasePaths(ctx, owner, leg.Paths); err != nil {
		return err
	}
	return r.report(ctx, in, leg)
}

// report tells in the ServiceImport what became of it.
func (r *importReconciler) report(ctx context.Context, in translate.LegInput, leg translate.LegResult) error {
	told := leg.Import.DeepCopy()
	l := r.lister(ctx)
	if live := l.Import(in.Namespace, in.Name); live != nil {
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
	})
	return r.status(ctx, told)
}

// withdraw takes an import away, what makes clients come first, and gives its ports back.
func (r *importReconciler) withdraw(ctx context.Context, key types.NamespacedName) error {
	owner := importOwner(key)
	if err := r.prune(ctx, owner, importKinds(), nil); err != nil {
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
