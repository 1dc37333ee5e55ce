// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// PortsCarried is the condition mcw.l7mp.io/PortsCarried of a service with these ports: the gateways are TCP proxies, so
// UDP and SCTP ports stay in the ServiceImport, as the KEP wants it, but no traffic gets to them.
func PortsCarried(ports []mcsv1beta1.ServicePort, generation int64) metav1.Condition {
	if len(ports) == 0 {
		return condition(v1alpha1.ConditionPortsCarried, metav1.ConditionFalse, v1alpha1.ReasonNoPorts, noPorts, generation)
	}
	var not []string
	for _, p := range ports {
		if !Carried(p.Protocol) {
			not = append(not, portLabel(p.Name, portNumber{protocolOf(p.Protocol), p.Port}))
		}
	}
	if len(not) == 0 {
		return condition(v1alpha1.ConditionPortsCarried, metav1.ConditionTrue, v1alpha1.ReasonCarried, "Every port is carried.", generation)
	}
	if more := len(not) - maxListed; more > 0 {
		not = append(not[:maxListed], fmt.Sprintf("%d more", more))
	}
	return condition(v1alpha1.ConditionPortsCarried, metav1.ConditionFalse, v1alpha1.ReasonUnsupportedProtocol,
		fmt.Sprintf("The gateways carry TCP only, so nothing gets to %s from another cluster; offer the service over TCP as well.",
			strings.Join(not, ", ")), generation)
}

const (
	// noPorts is told of a headless Service without ports; other Services have some.
	noPorts = "The Service has no ports, and the gateways carry ports, so nothing gets to it from another cluster; list in its spec.ports those that clients shall reach."
	// onlyOthers is told of a service that has UDP and SCTP ports only.
	onlyOthers = "No port of the service can be carried: the gateways carry TCP only; offer the service over TCP as well."
)

// NoneCarried is why not one of a service's ports is carried, as reason and message of a condition; empty when one is.
func NoneCarried(ports []mcsv1beta1.ServicePort) (reason, message string) {
	switch {
	case len(ports) == 0:
		return v1alpha1.ReasonNoPorts, noPorts
	case !slices.ContainsFunc(ports, func(p mcsv1beta1.ServicePort) bool { return Carried(p.Protocol) }):
		return v1alpha1.ReasonUnsupportedProtocol, onlyOthers
	}
	return "", ""
}

func condition(kind string, status metav1.ConditionStatus, reason, message string, generation int64) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation}
}
