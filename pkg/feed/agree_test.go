// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// anExport is an export as an API server takes it: users may write any keys and values into its spec.
func anExport(r *rand.Rand) advertise.Input {
	meta := metav1.ObjectMeta{Namespace: "secure", Name: "payment", CreationTimestamp: metav1.Unix(1_700_000_000+r.Int64N(9), 0)}
	in := advertise.Input{
		ClusterID: there,
		Export:    &mcsv1beta1.ServiceExport{ObjectMeta: meta},
		Service:   &corev1.Service{ObjectMeta: meta, Spec: aService(r)},
		Policies:  []v1alpha1.WANPolicy{{ObjectMeta: metav1.ObjectMeta{Name: "high"}, Spec: v1alpha1.WANPolicySpec{Tunnel: "t", Port: 31111, Default: true}}},
		Draining:  r.IntN(4) == 0,
	}
	keys := []string{"team", "example.com/team", "Example.com/Team", "bad key", "", "mcw.l7mp.io/part", "MCW.l7mp.io/part", "mc-wan.l7mp.io/x", "l7mp.io/x", "app.kubernetes.io/managed-by"}
	values := []string{"", "pay", "any text, 4th floor!", "\x00"}
	for range r.IntN(4) {
		in.Export.Spec.ExportedLabels = with(in.Export.Spec.ExportedLabels, oneOf(r, keys...), oneOf(r, values...))
		in.Export.Spec.ExportedAnnotations = with(in.Export.Spec.ExportedAnnotations, oneOf(r, keys...), oneOf(r, values...))
	}
	if r.IntN(2) == 0 {
		in.Export.Annotations = map[string]string{v1alpha1.AnnotationFailover: oneOf(r, "Strict", "Automatic", "Ordered: high", "nonsense"),
			v1alpha1.AnnotationIdempotent: oneOf(r, "", "PUT", "DELETE PUT,PUT", "PUT, POST")}
	}
	if r.IntN(3) == 0 {
		in.DrainDeadline = new(metav1.NewTime(time.Unix(1_800_000_000, 0)))
	}
	if r.IntN(2) == 0 {
		in.Rules = &mcwanv1alpha1.ServiceExport{Spec: someRules(r)}
	}
	in.Slices = []discoveryv1.EndpointSlice{someEndpoints(r)}
	return in
}

// someRules are rules as the schema of ServiceExport.mc-wan.l7mp.io takes them: it says little about names and values.
func someRules(r *rand.Rand) mcwanv1alpha1.ServiceExportSpec {
	rule := mcwanv1alpha1.HTTPRule{
		Matches: []gatewayv1.HTTPRouteMatch{{Headers: []gatewayv1.HTTPHeaderMatch{{Name: "x-tier", Value: oneOf(r, "gold", "a\tb")}}}},
		Filters: []gatewayv1.HTTPRouteFilter{{
			Type: gatewayv1.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: &gatewayv1.HTTPHeaderFilter{Remove: []string{oneOf(r, "x-a", ":path")}},
		}},
		BackendRefs: []mcwanv1alpha1.BackendRef{{Name: gatewayv1.ObjectName(oneOf(r, "payment-secure-high", "Payment_High"))}},
	}
	return mcwanv1alpha1.ServiceExportSpec{HTTP: mcwanv1alpha1.HTTPRules{Rules: []mcwanv1alpha1.HTTPRule{rule}}}
}

func with(in map[string]string, key, value string) map[string]string {
	if in == nil {
		in = map[string]string{}
	}
	in[key] = value
	return in
}

func aService(r *rand.Rand) corev1.ServiceSpec {
	spec := corev1.ServiceSpec{
		ClusterIP:             oneOf(r, "10.0.0.1", corev1.ClusterIPNone),
		Type:                  oneOf(r, corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer),
		IPFamilies:            oneOf(r, nil, []corev1.IPFamily{corev1.IPv4Protocol}, []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}),
		SessionAffinity:       oneOf(r, "", corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP),
		InternalTrafficPolicy: oneOf(r, nil, new(corev1.ServiceInternalTrafficPolicyLocal)),
		TrafficDistribution:   oneOf(r, nil, new(corev1.ServiceTrafficDistributionPreferClose), new(corev1.ServiceTrafficDistributionPreferSameNode)),
	}
	if spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(1 + r.Int32N(86400))}}
	}
	n := 1 + oneOf(r, 0, 1, 2, 250)
	for i := range n {
		name := fmt.Sprintf("%d-p", i)
		if n == 1 {
			name = oneOf(r, "", "http")
		}
		spec.Ports = append(spec.Ports, corev1.ServicePort{
			Name: name, Port: int32(80 + i), Protocol: oneOf(r, "", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP),
			AppProtocol: oneOf(r, nil, new("http"), new("kubernetes.io/h2c"), new("example.com/My_Proto")),
		})
	}
	return spec
}

func someEndpoints(r *rand.Rand) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "secure", Name: "payment-x", Labels: map[string]string{discoveryv1.LabelServiceName: "payment"}},
		AddressType: discoveryv1.AddressTypeIPv6, Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(80))}},
	}
	for i := range oneOf(r, 0, 1, 3, 70) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("fd00::%x", i)}, Hostname: oneOf(r, nil, new(fmt.Sprintf("ring-%d", i))),
		})
	}
	return s
}

// What a cluster makes of its own exports is accepted by every other one, and merged there: a user is told of what is wrong
// with an export by the export itself.
func TestWhatIsAdvertisedIsAccepted(t *testing.T) {
	advertised := 0
	for seed := range uint64(2000) {
		result := advertise.Advertise(anExport(rand.New(rand.NewPCG(seed, 4))))
		if result.Advertisement == nil {
			continue
		}
		advertised++
		if refusal, ok := feed.CheckAdvertisement(feed.Rules{Peer: peerSpec(there)}, result.Advertisement); !ok {
			t.Fatalf("seed %d: %+v is refused: %+v", seed, result.Advertisement, refusal)
		}
		if err := mcs.Validate(*result.Advertisement); err != nil {
			t.Fatalf("seed %d: the merge refuses it: %v", seed, err)
		}
	}
	if advertised < 500 {
		t.Errorf("only %d exports were advertised", advertised)
	}
}
