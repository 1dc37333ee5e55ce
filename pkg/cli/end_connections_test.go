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

// withEgress gives a cluster an egress gateway of one pod, which waits for open connections for grace seconds. What patched
// does stands for the Deployment's controller.
func withEgress(t *testing.T, c client.WithWatch, grace int64, patched func(context.Context, client.WithWatch) error) client.WithWatch {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: egressMeta("mcw-egress")}
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
	clusters["cluster-1"] = withEgress(t, clusters["cluster-1"], 55, func(ctx context.Context, c client.WithWatch) error {
		if err := c.Create(ctx, egressPod("mcw-egress-new")); err != nil {
			return err
		}
		return c.Delete(ctx, egressPod("mcw-egress-old"))
	})
	code, stdout, stderr := runWith(t, clusters, "--context", "cluster-1", "drain", "--wan-policy=default", "--end-connections")
	want := `WANPolicy default is drained: nobody uses it
replacing pod mcw-egress-old: connections that are open end within 55s
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
		egress           bool
		code             int
	}{
		{"the pod stays", "--timeout=20ms", "not within 20ms: pod mcw-egress-old is still there; see: kubectl --context cluster-1 -n mc-wan get pods", true, cli.ExitFailed},
		{"there is no gateway", "--timeout=20ms", "context cluster-1: no egress gateway runs", false, cli.ExitFailed},
		{"nothing is waited for", "--timeout=0", "--end-connections waits until nobody uses the drained ways: give it a --timeout", true, cli.ExitUsage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clusters := loadFleet(t, "joined")
			if tc.egress {
				clusters["cluster-1"] = withEgress(t, clusters["cluster-1"], 0, func(context.Context, client.WithWatch) error { return nil })
			}
			code, _, stderr := runWith(t, clusters, "--context", "cluster-1", "drain", "--wan-policy=default", "--end-connections", tc.args)
			if code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Errorf("exit code %d, want %d; stderr lacks %q:\n%s", code, tc.code, tc.want, stderr)
			}
		})
	}
}
