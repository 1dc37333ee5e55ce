// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// fieldManager owns the fields that mcwanctl writes.
const fieldManager = "mcwanctl"

func newExportCmd(a *app) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export NAME/NAMESPACE",
		Short: "Let other clusters call a service",
		Long: `export lets other clusters call a service, as NAME.NAMESPACE.svc.clusterset.local, over the tunnel
of a WAN policy.

It writes a ServiceExport beside the Service. --wan-policy takes the name of a WANPolicy or an
ending of it after a dash that no other policy has: high stands for sd-wan-priority-high. Without it
the default policy is used. To change the policy of an exported service, export it again.`,
		Example: `  # Over the policy sd-wan-priority-high.
  mcwanctl --context cluster-2 export payment/secure --wan-policy=high

  # Over the default policy, and wait until the own cluster has imported it too.
  mcwanctl export payment/secure --wait`,
		Args:              exactly("NAME/NAMESPACE"),
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.export(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.policy, "wan-policy", "", "WANPolicy of the export, or a unique ending of its name (default: the default policy)")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait until the export is ready and this cluster has imported it")
	addTimeout(cmd, &o.timeout, 30*time.Second, "how long --wait waits")
	a.complete(cmd, "wan-policy", a.completePolicies)
	return cmd
}

type exportOptions struct {
	policy  string
	wait    bool
	timeout time.Duration
}

func (a *app) export(ctx context.Context, arg string, o exportOptions) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	key, err := a.target(arg, c.Namespace)
	if err != nil {
		return err
	}
	if err := a.checkExportable(ctx, c, key); err != nil {
		return err
	}
	policy, err := a.exportPolicy(ctx, c, o.policy)
	if err != nil {
		return err
	}
	annotated := ""
	if o.policy != "" {
		annotated = policy.Name
	}
	if err := applyExport(ctx, c, key, annotated); err != nil {
		return err
	}
	a.say("%s is exported as %s over %s (tunnel %s, port %d)", short(key), host(key), policy.Name, policy.Spec.Tunnel, policy.Spec.Port)
	if !o.wait {
		return nil
	}
	err = a.until(ctx, o.timeout, func(ctx context.Context) (bool, string, error) {
		return exportReady(ctx, c, key, annotated)
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", short(key), err)
	}
	a.say("%s is ready", short(key))
	return nil
}

// checkExportable says what keeps a Service from being exported, where the controller would only say so by a condition.
func (a *app) checkExportable(ctx context.Context, c Access, key types.NamespacedName) error {
	if !snapshot.MayImport(nil, key.Namespace) {
		return fmt.Errorf("services of namespace %s are not imported by any cluster: it is protected (kube-*, istio-system, %s); export a Service of another namespace", key.Namespace, v1alpha1.Namespace)
	}
	var service corev1.Service
	err := c.Get(ctx, key, &service)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no Service %s in context %s; create it first", short(key), c.Context)
	}
	if err != nil {
		return c.explain("reading Service "+short(key), err)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return fmt.Errorf("the Service %s is of type ExternalName, which has no backends to export; %s", short(key), advertise.ExternalNameFix)
	}
	var left []string
	carried := false
	for _, port := range service.Spec.Ports {
		if port.Protocol == corev1.ProtocolTCP || port.Protocol == "" {
			carried = true
			continue
		}
		left = append(left, fmt.Sprintf("%d/%s", port.Port, port.Protocol))
	}
	if !carried && len(left) > 0 {
		return fmt.Errorf("the Service %s has no TCP port, and the gateways carry TCP only, not %s; offer the service over TCP as well", short(key), strings.Join(left, ", "))
	}
	if len(left) > 0 {
		a.say("warning: the gateways carry TCP only; other clusters cannot reach %s of %s", strings.Join(left, ", "), short(key))
	}
	return nil
}

// exportPolicy finds the named policy, or the default one if none is named. One on whose port this cluster does not receive
// is refused with the words of the condition that the controller gives it; one that is usable but not all right is told.
func (a *app) exportPolicy(ctx context.Context, c Access, want string) (v1alpha1.WANPolicy, error) {
	all, err := policies(ctx, c)
	if err != nil {
		return v1alpha1.WANPolicy{}, err
	}
	var policy v1alpha1.WANPolicy
	if want != "" {
		if policy, err = findPolicy(all, want); err != nil {
			return policy, err
		}
	} else {
		standard, found := advertise.DefaultPolicy(all)
		if !found {
			return policy, fmt.Errorf("there is no default WANPolicy: name one by --wan-policy; there %s", areThere(names(all)))
		}
		policy = standard
	}
	verdict := translate.ValidatePolicies(all, nil)[policy.Name]
	if verdict.Status != metav1.ConditionTrue {
		return policy, fmt.Errorf("WANPolicy %s cannot be used, so nothing is exported over it: %s: %s", policy.Name, verdict.Reason, verdict.Message)
	}
	if verdict.Reason != v1alpha1.ReasonReady {
		a.say("warning: WANPolicy %s: %s: %s", policy.Name, verdict.Reason, verdict.Message)
	}
	return policy, nil
}

// applyExport writes the ServiceExport; policy is the annotation, empty for none. An annotation that another writer
// owns stays when none is asked for, which is an error here because the default policy is then not used.
func applyExport(ctx context.Context, c Access, key types.NamespacedName, policy string) error {
	export := &mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	gvk, err := c.GroupVersionKindFor(export)
	if err != nil {
		return fmt.Errorf("writing ServiceExport %s: %w", short(key), err)
	}
	export.SetGroupVersionKind(gvk)
	if policy != "" {
		export.Annotations = map[string]string{v1alpha1.AnnotationWANPolicy: policy}
	}
	if err := apply(ctx, c, export); err != nil {
		return c.explain("writing ServiceExport "+short(key), err)
	}
	if err := c.Get(ctx, key, export); err != nil {
		return c.explain("reading ServiceExport "+short(key), err)
	}
	if named := export.Annotations[v1alpha1.AnnotationWANPolicy]; named != policy {
		return fmt.Errorf("%s stays on %s: another tool than mcwanctl wrote its annotation %s; name a policy by --wan-policy, or remove the annotation", short(key), named, v1alpha1.AnnotationWANPolicy)
	}
	return nil
}

// apply writes an object by server-side apply. What a person says on the command line goes before what another writer
// of the same field said earlier.
func apply(ctx context.Context, c Access, obj client.Object) error {
	u, err := manifest(obj)
	if err != nil {
		return err
	}
	return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(fieldManager), client.ForceOwnership)
}

// exportReady says whether the export is ready with this policy and imported by its own cluster, and if not, what is
// missing. The policy is compared with the advertisement because a changed annotation leaves no trace in conditions.
func exportReady(ctx context.Context, c Access, key types.NamespacedName, policy string) (bool, string, error) {
	var export mcsv1beta1.ServiceExport
	if err := c.Get(ctx, key, &export); err != nil {
		return false, "", err
	}
	if ok, why := exportState(&export); !ok {
		return false, "the export is " + why, nil
	}
	adverts, err := advertisements(ctx, c, key)
	if err != nil {
		return false, "", err
	}
	own, err := c.self(ctx)
	if err != nil {
		return false, "", err
	}
	if !slices.ContainsFunc(adverts, func(s v1alpha1.ServiceAdvertisement) bool {
		return s.Spec.ClusterID == own.Spec.ClusterID && s.Spec.WANPolicy == policy
	}) {
		return false, "the service is not advertised with this policy yet", nil
	}
	var imported mcsv1beta1.ServiceImport
	if err := c.Get(ctx, key, &imported); err != nil {
		if apierrors.IsNotFound(err) {
			return false, "there is no ServiceImport yet", nil
		}
		return false, "", err
	}
	if imported.Spec.Type == mcsv1beta1.ClusterSetIP && len(imported.Spec.IPs) == 0 {
		return false, "the ServiceImport has no address yet", nil
	}
	return true, "", nil
}

// advertisements are what is known of all exports of a service, by cluster. Where a feed and a person speak for the same
// cluster, it is the feed that counts.
func advertisements(ctx context.Context, c Access, key types.NamespacedName) ([]v1alpha1.ServiceAdvertisement, error) {
	var list v1alpha1.ServiceAdvertisementList
	err := c.List(ctx, &list, client.InNamespace(v1alpha1.Namespace), client.MatchingLabels{
		v1alpha1.LabelServiceNamespace: key.Namespace,
		v1alpha1.LabelServiceName:      key.Name,
	})
	if err != nil {
		return nil, c.explain("listing advertisements", err)
	}
	hand := func(a v1alpha1.ServiceAdvertisement) int {
		if snapshot.IsByHand(a.Labels) {
			return 1
		}
		return 0
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.ServiceAdvertisement) int {
		return cmp.Or(cmp.Compare(a.Spec.ClusterID, b.Spec.ClusterID), cmp.Compare(hand(a), hand(b)))
	})
	return slices.CompactFunc(list.Items, func(a, b v1alpha1.ServiceAdvertisement) bool { return a.Spec.ClusterID == b.Spec.ClusterID }), nil
}
