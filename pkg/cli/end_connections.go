// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// annotationRestartedAt on a pod template is what `kubectl rollout restart` writes.
const annotationRestartedAt = "kubectl.kubernetes.io/restartedAt"

// endConnections replaces the pods of this cluster's egress gateways, as `kubectl rollout restart` does, and waits until those
// that ran are gone: open connections end with them. Pods are replaced one after the other, each when its successor is ready,
// for which it has timeout, and then wait for what is open for their grace period.
func (a *app) endConnections(ctx context.Context, c Access, timeout time.Duration) error {
	egress := []client.ListOption{client.InNamespace(v1alpha1.Namespace), client.MatchingLabels{v1alpha1.LabelGateway: v1alpha1.GatewayEgress}}
	var deployments appsv1.DeploymentList
	if err := c.List(ctx, &deployments, egress...); err != nil {
		return c.explain("listing the egress gateways", err)
	}
	old, err := podsOf(ctx, c, egress)
	if err != nil {
		return err
	}
	if len(deployments.Items) == 0 || len(old) == 0 {
		return fmt.Errorf("context %s: no egress gateway runs, see: kubectl --context %s -n %s get deployments,pods", c.Context, c.Context, v1alpha1.Namespace)
	}
	var grace, bound time.Duration
	for _, d := range deployments.Items {
		grace = max(grace, gracePeriod(d))
		bound = max(bound, time.Duration(replicas(d))*timeout+gracePeriod(d))
		before := d.DeepCopy()
		if d.Spec.Template.Annotations == nil {
			d.Spec.Template.Annotations = map[string]string{}
		}
		d.Spec.Template.Annotations[annotationRestartedAt] = time.Now().Format(time.RFC3339)
		if err := c.Patch(ctx, &d, client.MergeFrom(before)); err != nil {
			return c.explain("restarting Deployment "+d.Name, err)
		}
	}
	a.say("replacing %s: open connections of each end within %s of its successor being ready", podNames(old), grace)
	return a.until(ctx, bound, func(ctx context.Context) (bool, string, error) {
		now, err := podsOf(ctx, c, egress)
		if err != nil {
			return false, "", err
		}
		left := map[types.UID]string{}
		for uid, name := range old {
			if _, runs := now[uid]; runs {
				left[uid] = name
			}
		}
		return len(left) == 0, fmt.Sprintf("%s is still there; see: kubectl --context %s -n %s get pods", podNames(left), c.Context, v1alpha1.Namespace), nil
	})
}

// podsOf are the names of the pods that are not over, by uid.
func podsOf(ctx context.Context, c Access, which []client.ListOption) (map[types.UID]string, error) {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, which...); err != nil {
		return nil, c.explain("listing the egress gateways' pods", err)
	}
	out := map[types.UID]string{}
	for _, p := range pods.Items {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			out[p.UID] = p.Name
		}
	}
	return out, nil
}

// gracePeriod is how long a pod of the Deployment may take to leave; 30 s where it does not say.
func gracePeriod(d appsv1.Deployment) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if s := d.Spec.Template.Spec.TerminationGracePeriodSeconds; s != nil {
		seconds = *s
	}
	return time.Duration(seconds) * time.Second
}

// replicas are the pods that the Deployment is to have; one where it does not say.
func replicas(d appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func podNames(pods map[types.UID]string) string {
	var out []string
	for _, name := range pods {
		out = append(out, "pod "+name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
