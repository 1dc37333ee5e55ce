// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// endpoints are the ready endpoints of a headless Service, by name, as many as an advertisement has room for, and the
// condition mcw.l7mp.io/EndpointsCarried about them; nil for other Services. Of too many those stay that are advertised
// already, so that nobody loses an address because a pod with a lower name got ready.
func endpoints(in Input) ([]v1alpha1.AdvertisedEndpoint, *metav1.Condition) {
	if !headless(in.Service) {
		return nil, nil
	}
	var fit, tooLong []string
	for _, e := range mcs.NamedEndpoints(in.Service, in.Slices) {
		if mcs.EndpointNameFits(e.Hostname, in.ClusterID, in.Service.Name, in.Service.Namespace) {
			fit = append(fit, e.Hostname)
		} else {
			tooLong = append(tooLong, e.Hostname)
		}
	}
	chosen := firstOf(fit, previousHostnames(in.Previous), v1alpha1.MaxEndpoints)
	out := make([]v1alpha1.AdvertisedEndpoint, 0, len(chosen))
	for _, hostname := range chosen {
		out = append(out, v1alpha1.AdvertisedEndpoint{Hostname: hostname})
	}
	c := endpointsCarried(in, len(fit), tooLong)
	return out, &c
}

func headless(service *corev1.Service) bool { return service.Spec.ClusterIP == corev1.ClusterIPNone }

func endpointsCarried(in Input, ready int, tooLong []string) metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return condition(v1alpha1.ConditionEndpointsCarried, metav1.ConditionFalse, reason, message, in.Export.Generation)
	}
	if reason, message := mcs.NoneCarried(servicePorts(in.Service.Spec.Ports)); reason != "" {
		return no(reason, message)
	}
	switch {
	case len(tooLong) > 0:
		return no(v1alpha1.ReasonNameTooLong, fmt.Sprintf(
			"The names <hostname>.%s.%s.%s.svc.%s of these endpoints are longer than a name in DNS can be, so they are left out; shorten the hostnames: %s.",
			in.ClusterID, in.Service.Name, in.Service.Namespace, v1alpha1.ClusterSetDomain, bounded(tooLong)))
	case ready > v1alpha1.MaxEndpoints:
		return no(v1alpha1.ReasonTooManyEndpoints, fmt.Sprintf(
			"The Service has more than %d ready endpoints; that many are reachable one by one from other clusters, the others are left out. Split the Service, or export one that is not headless.",
			v1alpha1.MaxEndpoints))
	}
	return condition(v1alpha1.ConditionEndpointsCarried, metav1.ConditionTrue, v1alpha1.ReasonCarried,
		"Every ready endpoint can be reached from other clusters.", in.Export.Generation)
}

// firstOf are at most n of the names, in their order: those of before first.
func firstOf(names []string, before map[string]bool, n int) []string {
	if len(names) <= n {
		return names
	}
	ranked := slices.Clone(names)
	slices.SortStableFunc(ranked, func(a, b string) int {
		switch {
		case before[a] == before[b]:
			return 0
		case before[a]:
			return -1
		}
		return 1
	})
	chosen := ranked[:n]
	slices.SortFunc(chosen, mcs.CompareHostnames)
	return chosen
}

func previousHostnames(previous *v1alpha1.ServiceAdvertisementSpec) map[string]bool {
	out := map[string]bool{}
	if previous != nil {
		for _, e := range previous.Endpoints {
			out[e.Hostname] = true
		}
	}
	return out
}
