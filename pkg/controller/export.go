// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// exportReconciler publishes local exports: the advertisement that peers read, the way through the ingress gateway, and
// what the ServiceExport's owner is told.
type exportReconciler struct {
	*core
	linger *linger[apply.Ref]
}

func (r *exportReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	key := req.NamespacedName
	l := r.lister(ctx)
	in := snapshot.AdvertiseInput(l, key)
	if err := l.Err(); err != nil {
		return reconcile.Result{}, err
	}
	result := advertise.Advertise(in)
	wait, err := r.publish(ctx, key, result.Advertisement, in.Previous)
	if err == nil {
		err = r.report(ctx, in.Export, result)
	}
	if err == nil {
		err = r.reportRules(ctx, key, result.Advertisement)
	}
	if err != nil {
		return r.standing("export", key, err)
	}
	return reconcile.Result{RequeueAfter: wait}, nil
}

// publish makes what peers see and what lets them in follow the decision; it returns when to look again.
func (r *exportReconciler) publish(ctx context.Context, key types.NamespacedName, want, have *v1alpha1.ServiceAdvertisementSpec) (time.Duration, error) {
	switch {
	case want != nil:
		return r.open(ctx, key, *want)
	case have != nil:
		return r.drain(ctx, key, *have)
	default:
		return 0, r.shut(ctx, key)
	}
}

// open writes the way in before the advertisement that makes others use it. What is no longer needed of the way in (a
// port that is gone) stays until others have had the time to stop using it.
func (r *exportReconciler) open(ctx context.Context, key types.NamespacedName, spec v1alpha1.ServiceAdvertisementSpec) (time.Duration, error) {
	l := r.lister(ctx)
	objects := translate.Export(snapshot.ExportInputOf(l, spec))
	if err := l.Err(); err != nil {
		return 0, err
	}
	if err := r.write(ctx, objects...); err != nil {
		return 0, err
	}
	if err := r.write(ctx, translate.Advertisement(r.self, spec)); err != nil {
		return 0, err
	}
	r.fleet.askAfter(holdOff, types.NamespacedName{Name: fleetKey})
	return r.pruneLater(ctx, key, objects)
}

// pruneLater takes away what is no longer wanted of the way in, a drain deadline after that was first seen.
func (r *exportReconciler) pruneLater(ctx context.Context, key types.NamespacedName, keep []translate.Object) (time.Duration, error) {
	found, err := r.applier.Owned(ctx, exportKinds(), ownedBy(exportOwner(key)))
	if err != nil {
		return 0, err
	}
	left := r.linger.left(key, surplus(found, keep))
	if left > 0 {
		// The address of a pod that is gone is another pod's soon.
		return left, r.prune(ctx, exportOwner(key), sliceKinds(), keep)
	}
	return 0, r.prune(ctx, exportOwner(key), exportKinds(), keep)
}

// drain tells others that the service is about to go, and takes it away when all peers have said that they no longer rely
// on it, or at the deadline.
func (r *exportReconciler) drain(ctx context.Context, key types.NamespacedName, have v1alpha1.ServiceAdvertisementSpec) (time.Duration, error) {
	waiting, err := r.relied(ctx, &have)
	if err != nil {
		return 0, err
	}
	now := r.now()
	if waiting && !have.Draining {
		last := advertise.Drain(have, metav1.NewTime(now.Add(r.opts.DrainDeadline).Truncate(time.Second)))
		return r.opts.DrainDeadline, r.write(ctx, translate.Advertisement(r.self, last))
	}
	if waiting && have.DrainDeadline != nil && have.DrainDeadline.After(now) {
		return have.DrainDeadline.Sub(now), nil
	}
	return 0, r.shut(ctx, key)
}

// relied tells whether some cluster still may send traffic to the service. One that has not acknowledged that it is
// draining may, also while its feed cannot be read: the gateways of a cluster go on when its controller is away.
func (r *exportReconciler) relied(ctx context.Context, spec *v1alpha1.ServiceAdvertisementSpec) (bool, error) {
	l := r.lister(ctx)
	peers, cards := translate.AcceptedPeers(r.self, l.Peers()), l.Cards()
	ownImport := l.Import(spec.Namespace, spec.Name)
	if err := l.Err(); err != nil {
		return false, err
	}
	if ownImport != nil && len(ownImport.Status.Clusters) > 1 && !r.drains.acknowledged(spec) {
		return true, nil
	}
	for _, p := range peers {
		if !spec.Draining || !acknowledgedBy(cards, p.Spec.ClusterID, spec) {
			return true, nil
		}
	}
	return false, nil
}

func acknowledgedBy(cards []v1alpha1.ClusterAdvertisement, id string, spec *v1alpha1.ServiceAdvertisementSpec) bool {
	for i := range cards {
		if cards[i].Spec.ClusterID == id && acknowledges(&cards[i].Spec, spec) {
			return true
		}
	}
	return false
}

// shut takes the advertisement away, then the way in.
func (r *exportReconciler) shut(ctx context.Context, key types.NamespacedName) error {
	l := r.lister(ctx)
	for _, adv := range l.Advertisements(key.Namespace, key.Name) {
		if adv.Spec.ClusterID != r.self.ID || !isOurs(&adv) {
			continue
		}
		adv.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(v1alpha1.ServiceAdvertisementKind))
		change, err := r.applier.Delete(ctx, adv.DeepCopy())
		if err != nil {
			return err
		}
		r.metrics.wrote(change)
		r.fleet.askAfter(holdOff, types.NamespacedName{Name: fleetKey})
	}
	if err := l.Err(); err != nil {
		return err
	}
	r.linger.forget(key)
	return r.prune(ctx, exportOwner(key), exportKinds(), nil)
}

// report tells the owner of the export what became of it.
func (r *exportReconciler) report(ctx context.Context, export *mcsv1beta1.ServiceExport, result advertise.Result) error {
	if export == nil || export.DeletionTimestamp != nil {
		return nil
	}
	key := client.ObjectKeyFromObject(export)
	l := r.lister(ctx)
	merged := mcs.Merge(withOwn(snapshot.Exports(l, key), r.self.ID, result.Advertisement))
	if err := l.Err(); err != nil {
		return err
	}
	told := &mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Generation: export.Generation}}
	told.SetGroupVersionKind(r.mcs.Kind(mcsv1beta1.ServiceExportKindName))
	told.Status.Conditions = mcs.ExportConditions(mcs.ExportState{
		ClusterID:     r.self.ID,
		Generation:    export.Generation,
		Local:         result.Conditions,
		Advertisement: result.Advertisement,
		Published:     result.Advertisement != nil,
		Merged:        merged,
	})
	told.UID = export.UID
	return r.status(ctx, told)
}

// reportRules tells the owner what became of the rules in the ServiceExport of mc-wan.l7mp.io; nothing where there are none.
func (r *exportReconciler) reportRules(ctx context.Context, key types.NamespacedName, own *v1alpha1.ServiceAdvertisementSpec) error {
	l := r.lister(ctx)
	live := l.OwnerRules(key.Namespace, key.Name)
	in := translate.ExportInput{Self: r.self, Policies: l.Policies(), Rules: live, Replaced: l.Rules(key.Namespace, key.Name) != nil}
	if own != nil {
		in.Advertisement = *own
	}
	merged := mcs.Merge(withOwn(snapshot.Exports(l, key), r.self.ID, own))
	if err := l.Err(); err != nil {
		return err
	}
	if live == nil || live.DeletionTimestamp != nil {
		return nil
	}
	told := &mcwanv1alpha1.ServiceExport{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, Generation: live.Generation, UID: live.UID,
	}}
	told.SetGroupVersionKind(mcwanv1alpha1.GroupVersion().WithKind(mcwanv1alpha1.ServiceExportKind))
	told.Status.Conditions = translate.OwnerConditions(in, merged)
	return r.status(ctx, told)
}

// withOwn is exports with the own one as it has just been written: the cache may not show it yet.
func withOwn(exports []v1alpha1.ServiceAdvertisementSpec, self string, own *v1alpha1.ServiceAdvertisementSpec) []v1alpha1.ServiceAdvertisementSpec {
	out := make([]v1alpha1.ServiceAdvertisementSpec, 0, len(exports)+1)
	for _, e := range exports {
		if e.ClusterID != self {
			out = append(out, e)
		}
	}
	if own != nil {
		out = append(out, *own)
	}
	return out
}
