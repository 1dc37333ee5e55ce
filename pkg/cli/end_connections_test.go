// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
)

func egressMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: name, Labels: map[string]string{v1alpha1.LabelGateway: v1alpha1.GatewayEgress}}
}

func egressPod(name string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: egressMeta(name)}
	pod.UID = types.UID("uid-of-" + name)
	return pod
}

// withEgress gives a cluster an egress gateway of so many replicas, of which one pod is there, and which waits for open
// connections for grace seconds. What patched does stands for the Deployment's controller.
func withEgress(t *testing.T, c client.WithWatch, replicas int32, grace int64, patched func(context.Context, client.WithWatch) error) client.WithWatch {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: egressMeta("mcw-egress")}
	d.Spec.Replicas = &replicas
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = &grace
	for _, obj := range []client.Object{d, egressPod("mcw-egress-old")} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := c.Patch(ctx, obj, patch, opts...); err != nil {
				return err
			}
			if d, isDeployment := obj.(*appsv1.Deployment); isDeployment && d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] != "" {
				return patched(ctx, c)
			}
			return nil
		},
	})
}

// A drain that ends connections replaces the gateway's pods and waits until those of before are gone, not those of after.
func TestDrainEndsConnections(t *testing.T) {
	t.Parallel()
	clusters := loadFleet(t, "joined")
	clusters["cluster-1"] = withEgress(t, clusters["cluster-1"], 1, 55, func(ctx context.Context, c client.WithWatch) error {
		if err := c.Create(ctx, egressPod("mcw-egress-new")); err != nil {
			return err
		}
		return c.Delete(ctx, egressPod("mcw-egress-old"))
	})
	code, stdout, stderr := runWith(t, clusters, "--context", "cluster-1", "drain", "--wan-policy=default", "--end-connections")
	want := `WANPolicy default is drained: nobody uses it
replacing pod mcw-egress-old: open connections of each end within 55s of its successor being ready
connections of before have ended
`
	if code != cli.ExitOK || stdout != "" {
		t.Errorf("exit code %d, stdout %q", code, stdout)
	}
	if diff := cmp.Diff(want, stderr); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
}

func TestDrainThatCannotEndConnections(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, args, want string
		replicas         int32
		code             int
	}{
		{"the pod stays", "--timeout=20ms", "not within 20ms: pod mcw-egress-old is still there; see: kubectl --context cluster-1 -n mc-wan get pods", 1, cli.ExitFailed},
		{"each of several pods has the time", "--timeout=20ms", "not within 60ms: pod mcw-egress-old is still there", 3, cli.ExitFailed},
		{"there is no gateway", "--timeout=20ms", "context cluster-1: no egress gateway runs", 0, cli.ExitFailed},
		{"nothing is waited for", "--timeout=0", "--end-connections waits until nobody uses the drained ways: give it a --timeout", 1, cli.ExitUsage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clusters := loadFleet(t, "joined")
			if tc.replicas > 0 {
				clusters["cluster-1"] = withEgress(t, clusters["cluster-1"], tc.replicas, 0, func(context.Context, client.WithWatch) error { return nil })
			}
			code, _, stderr := runWith(t, clusters, "--context", "cluster-1", "drain", "--wan-policy=default", "--end-connections", tc.args)
			if code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Errorf("exit code %d, want %d; stderr lacks %q:\n%s", code, tc.code, tc.want, stderr)
			}
		})
	}
}
