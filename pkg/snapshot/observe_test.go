// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// What the Services of an import use is observed under the keys under which it was allocated.
func TestObservedPorts(t *testing.T) {
	key, ring := secure("payment"), translate.EndpointKey{Cluster: "c2", Hostname: "ring-0"}
	both := []corev1.ServicePort{
		{Name: "http", Port: 80, TargetPort: intstr.FromInt32(10000)},
		{Name: "mtls-80", Port: 10001, TargetPort: intstr.FromInt32(10001)},
	}
	for name, tc := range map[string]struct {
		labels map[string]string
		have   []corev1.ServicePort
		want   ports.Key
		used   []int32
	}{
		"derived":  {nil, both, portKey(key, 80), []int32{10000, 10001}},
		"dummy":    {map[string]string{v1alpha1.LabelPolicy: "high"}, both[:1], dummyKey(key, 80, "high"), []int32{10000}},
		"endpoint": {map[string]string{v1alpha1.LabelHostname: "ring-0", v1alpha1.LabelSourceCluster: "c2"}, both, endpointKey(key, 80, ring), []int32{10000, 10001}},
	} {
		t.Run(name, func(t *testing.T) {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Labels: tc.labels}, Spec: corev1.ServiceSpec{Ports: tc.have}}
			got := ObservedPorts(key, service)
			if len(got) != 1 || got[0].Key != tc.want || !slices.Equal(got[0].Ports, tc.used) {
				t.Errorf("observed %v, want %v with %v", got, tc.want, tc.used)
			}
		})
	}
}
