// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// headlessInput is a headless export with ready endpoints of these hostnames.
func headlessInput(hostnames ...string) Input {
	slice := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "secure", Name: "db-x", Labels: map[string]string{discoveryv1.LabelServiceName: "db"}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for i, h := range hostnames {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.1.%d.%d", i/250, i%250)}, Hostname: &h})
	}
	return Input{
		ClusterID: "c1",
		Export:    &mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "secure", Name: "db", Generation: 3}},
		Service: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "secure", Name: "db"},
			Spec:       corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "tcp", Port: 5432}}},
		},
		Slices: []discoveryv1.EndpointSlice{slice},
	}
}

func hostnames(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("db-%d", i))
	}
	return out
}

func advertised(t *testing.T, r Result) []string {
	t.Helper()
	if r.Advertisement == nil {
		t.Fatalf("not advertised: %v", r.Conditions)
	}
	var out []string
	for _, e := range r.Advertisement.Endpoints {
		out = append(out, e.Hostname)
	}
	return out
}

func carriedIs(t *testing.T, r Result, status metav1.ConditionStatus, reason, says string) {
	t.Helper()
	c := meta.FindStatusCondition(r.Conditions, v1alpha1.ConditionEndpointsCarried)
	if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, says) || c.ObservedGeneration != 3 {
		t.Errorf("condition %+v, want %s/%s", c, status, reason)
	}
}

func TestEndpointsAreAdvertised(t *testing.T) {
	r := Advertise(headlessInput("db-1", "db-0"))
	if got := advertised(t, r); !slices.Equal(got, []string{"db-0", "db-1"}) {
		t.Errorf("got %v", got)
	}
	carriedIs(t, r, metav1.ConditionTrue, v1alpha1.ReasonCarried, "")
}

func TestServiceWithAddressTellsNoEndpoints(t *testing.T) {
	in := headlessInput("db-0")
	in.Service.Spec.ClusterIP = "10.96.0.7"
	r := Advertise(in)
	if got := advertised(t, r); len(got) > 0 || meta.FindStatusCondition(r.Conditions, v1alpha1.ConditionEndpointsCarried) != nil {
		t.Errorf("got %v, %v", got, r.Conditions)
	}
}

func TestEndpointsWithoutPortsThatAreCarried(t *testing.T) {
	in := headlessInput("db-0")
	in.Service.Spec.Ports = nil
	carriedIs(t, Advertise(in), metav1.ConditionFalse, v1alpha1.ReasonNoPorts, "spec.ports")
	in.Service.Spec.Ports = []corev1.ServicePort{{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}
	carriedIs(t, Advertise(in), metav1.ConditionFalse, v1alpha1.ReasonUnsupportedProtocol, "TCP only")
}

func TestTooManyEndpoints(t *testing.T) {
	all := hostnames(v1alpha1.MaxEndpoints + 6)
	r := Advertise(headlessInput(all...))
	if got := advertised(t, r); !slices.Equal(got, all[:v1alpha1.MaxEndpoints]) {
		t.Errorf("the first by number are told, got %v", got)
	}
	carriedIs(t, r, metav1.ConditionFalse, v1alpha1.ReasonTooManyEndpoints, "64")

	// Those that are advertised stay, also when one of a lower number comes.
	in := headlessInput(all...)
	without := Advertise(headlessInput(all[1:]...)).Advertisement
	in.Previous = without
	if got := advertised(t, Advertise(in)); !slices.Equal(got, all[1:v1alpha1.MaxEndpoints+1]) {
		t.Errorf("got %v", got)
	}
	carriedIs(t, Advertise(headlessInput(all[:v1alpha1.MaxEndpoints]...)), metav1.ConditionTrue, v1alpha1.ReasonCarried, "")
}

func TestEndpointNamesThatDNSCannotHold(t *testing.T) {
	long := strings.Repeat("x", 63)
	in := headlessInput("db-0", long)
	in.ClusterID, in.Service.Name, in.Export.Name = strings.Repeat("c", 63), strings.Repeat("s", 63), strings.Repeat("s", 63)
	in.Slices[0].Labels[discoveryv1.LabelServiceName] = in.Service.Name
	in.Service.Namespace, in.Export.Namespace, in.Slices[0].Namespace = strings.Repeat("n", 63), strings.Repeat("n", 63), strings.Repeat("n", 63)
	r := Advertise(in)
	if got := advertised(t, r); !slices.Equal(got, []string{"db-0"}) {
		t.Errorf("got %v", got)
	}
	carriedIs(t, r, metav1.ConditionFalse, v1alpha1.ReasonNameTooLong, long)
}
