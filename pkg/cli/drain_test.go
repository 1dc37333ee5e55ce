// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
)

// A drain waits for services, and for the feed of a peer that can be read another way; not for one that cannot.
func TestDrainWaitsForThoseWhoCanLeave(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		args       []string
		services   bool
		code       int
	}{
		{"a service uses the peer", "peer cluster-2 is still used by payment/secure: is", []string{"cluster-2"}, true, cli.ExitFailed},
		{"the feed alone uses the peer", "peer cluster-2 is drained: nobody uses it", []string{"cluster-2"}, false, cli.ExitOK},
		{"the feed has another tunnel", "peer cluster-2 over sd-wan-priority-low is still used by feed: is", []string{"cluster-2", "--wan-policy=low"}, false, cli.ExitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clusters := loadFleet(t, "joined")
			if !tc.services {
				route := &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "egress-payment-secure-8080-x"}}
				if err := clusters["cluster-1"].Delete(t.Context(), route); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"--context", "cluster-1", "drain", "--timeout=20ms"}, tc.args...)
			code, _, stderr := runWith(t, clusters, args...)
			if code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Errorf("exit code %d, want %d; stderr lacks %q:\n%s", code, tc.code, tc.want, stderr)
			}
		})
	}
}

// Endpoints of a headless service can be called by their own names however long a drain takes, so it waits for the service's
// name alone to leave them.
func TestDrainWaitsForTheNamesOfHeadlessServices(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		chosen     []string
		args       []string
		code       int
	}{
		{"other clusters have endpoints", "peer cluster-2 is drained: nobody uses it", []string{"cluster-3"}, []string{"cluster-2"}, cli.ExitOK},
		{"no other cluster has any", "peer cluster-2 is still used by ring/secure: is", []string{"cluster-2"}, []string{"cluster-2"}, cli.ExitFailed},
		{"not yet", "peer cluster-2 is still used by ring/secure: is", []string{"cluster-2", "cluster-3"}, []string{"cluster-2"}, cli.ExitFailed},
		{"they have another tunnel", "is still used by feed, ring/secure: is", []string{"cluster-3"}, []string{"cluster-2", "--wan-policy=low"}, cli.ExitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clusters := loadFleet(t, "joined")
			route := &networkingv1.VirtualService{}
			if err := clusters["cluster-1"].Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: "egress-payment-secure-8080-x"}, route); err != nil {
				t.Fatal(err)
			}
			route.Labels[v1alpha1.LabelServiceName] = "ring"
			route.Labels[v1alpha1.LabelHostname], route.Labels[v1alpha1.LabelSourceCluster] = "ring-0", "cluster-2"
			if err := clusters["cluster-1"].Update(t.Context(), route); err != nil {
				t.Fatal(err)
			}
			for _, cluster := range tc.chosen {
				slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "secure", Name: "ring-" + cluster, Labels: map[string]string{
					discoveryv1.LabelManagedBy: v1alpha1.ValueManagedBy, mcsv1beta1.LabelServiceName: "ring", mcsv1beta1.LabelSourceCluster: cluster,
				}}}
				if err := clusters["cluster-1"].Create(t.Context(), slice); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"--context", "cluster-1", "drain", "--timeout=20ms"}, tc.args...)
			code, _, stderr := runWith(t, clusters, args...)
			if code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Errorf("exit code %d, want %d; stderr lacks %q:\n%s", code, tc.code, tc.want, stderr)
			}
		})
	}
}

// What a peer does not offer cannot be drained to it, and nothing is written.
func TestDrainOfATunnelThatThePeerDoesNotOffer(t *testing.T) {
	t.Parallel()
	clusters := loadFleet(t, "joined")
	if err := clusters["cluster-1"].Create(t.Context(), &v1alpha1.WANPolicy{ObjectMeta: metav1.ObjectMeta{Name: "only-here"}}); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runWith(t, clusters, "--context", "cluster-1", "drain", "cluster-2", "--wan-policy=only-here")
	const want = "peer cluster-2 does not offer WANPolicy only-here; those that it offers are: default, sd-wan-priority-high, sd-wan-priority-low"
	if code != cli.ExitFailed || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d; stderr lacks %q:\n%s", code, want, stderr)
	}
	peer := &v1alpha1.Peer{}
	if err := clusters["cluster-1"].Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: "cluster-2"}, peer); err != nil || len(peer.Spec.Drain) > 0 {
		t.Errorf("drains %v, %v", peer.Spec.Drain, err)
	}
}
