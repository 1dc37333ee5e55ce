// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func endpointsOf(name string, family discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
	return discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "secure", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "db"}},
		AddressType: family, Endpoints: endpoints,
	}
}

// pod is a ready endpoint; without a hostname where that is empty, and referring to no pod where pod is.
func pod(address, hostname, pod string) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{address}}
	if hostname != "" {
		e.Hostname = &hostname
	}
	if pod != "" {
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: "secure", Name: pod}
	}
	return e
}

func with(e discoveryv1.Endpoint, c discoveryv1.EndpointConditions) discoveryv1.Endpoint {
	e.Conditions = c
	return e
}

func TestNamedEndpoints(t *testing.T) {
	yes, no := true, false
	v4, v6 := discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6
	foreign := endpointsOf("x", v4, pod("10.1.0.9", "other", ""))
	foreign.Labels[discoveryv1.LabelServiceName] = "other"
	for name, tc := range map[string]struct {
		slices  []discoveryv1.EndpointSlice
		publish bool
		want    []string // hostname=address of slice,...
	}{
		"none": {nil, false, nil},
		"by number": {
			[]discoveryv1.EndpointSlice{endpointsOf("a", v4, pod("10.1.0.3", "db-10", ""), pod("10.1.0.2", "db-2", ""))}, false,
			[]string{"db-2=10.1.0.2@a", "db-10=10.1.0.3@a"},
		},
		"without a hostname": {
			[]discoveryv1.EndpointSlice{endpointsOf("a", v4, pod("10.1.0.3", "", "db-x7")), endpointsOf("b", v6, pod("fd00::7", "", ""), pod("::1:2", "", ""))}, false,
			[]string{"0--1-2=::1:2@b", "10-1-0-3=10.1.0.3@a", "fd00--7=fd00::7@b"},
		},
		"a pod of both families has one name": {
			[]discoveryv1.EndpointSlice{endpointsOf("b", v6, pod("fd00::7", "", "db-x7")), endpointsOf("a", v4, pod("10.1.0.3", "", "db-x7"))}, false,
			[]string{"10-1-0-3=10.1.0.3@a,fd00::7@b"},
		},
		"pods of one name": {
			[]discoveryv1.EndpointSlice{endpointsOf("a", v4, pod("10.1.0.3", "db", "x"), pod("10.1.0.4", "db", "y"))}, false,
			[]string{"db=10.1.0.3@a,10.1.0.4@a"},
		},
		"ready ones only": {
			[]discoveryv1.EndpointSlice{endpointsOf("a", v4,
				with(pod("10.1.0.3", "db-0", ""), discoveryv1.EndpointConditions{Ready: &no}),
				with(pod("10.1.0.4", "db-1", ""), discoveryv1.EndpointConditions{Ready: &yes}),
				with(pod("10.1.0.5", "db-2", ""), discoveryv1.EndpointConditions{Ready: &yes, Terminating: &yes}))}, false,
			[]string{"db-1=10.1.0.4@a"},
		},
		// With publishNotReadyAddresses the endpoint controller says ready of every pod.
		"published before they are ready": {
			[]discoveryv1.EndpointSlice{endpointsOf("a", v4, with(pod("10.1.0.5", "db-2", ""), discoveryv1.EndpointConditions{Ready: &yes, Terminating: &yes}))}, true,
			[]string{"db-2=10.1.0.5@a"},
		},
		"another Service's": {[]discoveryv1.EndpointSlice{foreign}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "secure", Name: "db"}, Spec: corev1.ServiceSpec{PublishNotReadyAddresses: tc.publish}}
			var got []string
			for _, n := range NamedEndpoints(service, tc.slices) {
				var addresses []string
				for _, s := range n.Slices {
					for _, e := range s.Endpoints {
						addresses = append(addresses, e.Addresses[0]+"@"+s.Name)
					}
				}
				if errs := utilvalidation.IsDNS1123Label(n.Hostname); len(errs) > 0 {
					t.Errorf("%q: %v", n.Hostname, errs)
				}
				got = append(got, n.Hostname+"="+strings.Join(addresses, ","))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			slices.Reverse(tc.slices)
			if len(NamedEndpoints(service, tc.slices)) != len(tc.want) {
				t.Error("the order of the slices matters")
			}
		})
	}
}

func TestValidateEndpoints(t *testing.T) {
	names := func(hostnames ...string) func(*export) {
		return func(e *export) {
			e.Type = "Headless"
			for _, h := range hostnames {
				e.Endpoints = append(e.Endpoints, v1alpha1.AdvertisedEndpoint{Hostname: h})
			}
		}
	}
	var many []string
	for i := range v1alpha1.MaxEndpoints + 1 {
		many = append(many, fmt.Sprintf("db-%d", i))
	}
	long := strings.Repeat("x", 63)
	for name, tc := range map[string]struct {
		edit func(*export)
		want string
	}{
		"good":             {names("db-0", "db-1"), ""},
		"as many as it is": {names(many[1:]...), ""},
		"too many":         {names(many...), "endpoints"},
		"no label":         {names("db_0"), "endpoints[0].hostname"},
		"two labels":       {names("db-0.x"), "endpoints[0].hostname"},
		"twice":            {names("db-0", "db-0"), "endpoints[1].hostname"},
		"too long a name": {func(e *export) {
			names(long)(e)
			e.ClusterID, e.Name, e.Namespace = long, long, long
		}, "endpoints[0].hostname"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Validate(exportOf("a", 1, tc.edit))
			if (err == nil) != (tc.want == "") || (err != nil && !strings.HasPrefix(err.Error(), tc.want+": ")) {
				t.Errorf("Validate = %v, want an error about %q", err, tc.want)
			}
		})
	}
}
