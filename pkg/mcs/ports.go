// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// maxListed bounds lists in messages: a condition's message has 32 KiB, and nobody reads a hundred ports.
const maxListed = 8

// portNumber is what may be there only once in a service, besides the name.
type portNumber struct {
	protocol corev1.Protocol
	port     int32
}

func (n portNumber) String() string { return fmt.Sprintf("%s/%d", n.protocol, n.port) }

func protocolOf(p corev1.Protocol) corev1.Protocol { return cmp.Or(p, corev1.ProtocolTCP) }

func numberOf(p v1alpha1.AdvertisedPort) portNumber {
	return portNumber{protocol: protocolOf(p.Protocol), port: p.Port}
}

// mergePorts exposes the union of all ports, KEP-1645 L1056-1072. A port whose name is taken by an exposed
// port of higher precedence, or else whose protocol and number are, is not exposed, and takes neither from the next.
func mergePorts(exports []export, m *Merged) *Conflict {
	m.Ports = []MergedPort{}
	names, numbers := map[string]bool{}, map[portNumber]bool{}
	for _, e := range exports {
		for _, p := range e.Ports {
			if names[p.Name] || numbers[numberOf(p)] {
				continue
			}
			names[p.Name], numbers[numberOf(p)] = true, true
			m.Ports = append(m.Ports, mergedPort(p, exports))
		}
	}
	c := disagreement(exports, samePorts, mcsv1beta1.ServiceExportReasonPortConflict, "ports",
		"the union of all ports and, where a name or a number is taken twice, the port")
	if c != nil {
		c.Message = strings.TrimSpace(c.Message + " " + unequal(exports, m.Ports))
	}
	return c
}

func mergedPort(p v1alpha1.AdvertisedPort, exports []export) MergedPort {
	out := MergedPort{ServicePort: servicePort(p)}
	for _, e := range exports {
		if exposes(e, p) {
			out.Clusters = append(out.Clusters, e.ClusterID)
		}
	}
	slices.Sort(out.Clusters)
	return out
}

// exposes says whether the export really has this port, KEP-1645 L1058-1063. All that identifies a port must be equal: the
// same name with another number is another door, and the same number under another name may be another protocol behind it.
func exposes(e export, p v1alpha1.AdvertisedPort) bool {
	return slices.ContainsFunc(e.Ports, func(o v1alpha1.AdvertisedPort) bool {
		return o.Name == p.Name && numberOf(o) == numberOf(p)
	})
}

// samePorts says whether two exports have the same ports in any order.
func samePorts(a, b export) bool {
	return slices.EqualFunc(sortedPorts(a), sortedPorts(b), func(p, q v1alpha1.AdvertisedPort) bool {
		return p.Name == q.Name && numberOf(p) == numberOf(q) && ptr.Deref(p.AppProtocol, "") == ptr.Deref(q.AppProtocol, "")
	})
}

func sortedPorts(e export) []v1alpha1.AdvertisedPort {
	return slices.SortedFunc(slices.Values(e.Ports), func(p, q v1alpha1.AdvertisedPort) int { return cmp.Compare(p.Name, q.Name) })
}

func servicePort(p v1alpha1.AdvertisedPort) mcsv1beta1.ServicePort {
	return mcsv1beta1.ServicePort{Name: p.Name, Protocol: protocolOf(p.Protocol), AppProtocol: appProtocol(p), Port: p.Port}
}

func appProtocol(p v1alpha1.AdvertisedPort) *string {
	if ptr.Deref(p.AppProtocol, "") == "" {
		return nil
	}
	v := *p.AppProtocol
	return &v
}

// unequal says which of the merged ports get traffic of some clusters only, and which ports of exporters are hidden behind
// one of the same name or number.
func unequal(exports []export, ports []MergedPort) string {
	var lines []string
	for _, p := range ports {
		if len(p.Clusters) < len(exports) {
			lines = append(lines, fmt.Sprintf("Only %s has port %s.", quotedList(p.Clusters), portLabel(p.Name, portNumber{p.Protocol, p.Port})))
		}
	}
	for _, e := range exports {
		for _, p := range e.Ports {
			if !exposed(ports, p) {
				lines = append(lines, fmt.Sprintf("Port %s of %q is not exposed.", portLabel(p.Name, numberOf(p)), e.ClusterID))
			}
		}
	}
	if more := len(lines) - maxListed; more > 0 {
		lines = append(lines[:maxListed], fmt.Sprintf("And %d more such ports.", more))
	}
	return strings.Join(lines, " ")
}

func exposed(ports []MergedPort, p v1alpha1.AdvertisedPort) bool {
	return slices.ContainsFunc(ports, func(m MergedPort) bool {
		return m.Name == p.Name && m.Protocol == protocolOf(p.Protocol) && m.Port == p.Port
	})
}

func portLabel(name string, number portNumber) string {
	if name == "" {
		return number.String() + " (unnamed)"
	}
	return fmt.Sprintf("%s %q", number, name)
}

// quotedList is a bounded list of names for a message.
func quotedList(names []string) string {
	var out []string
	for i, n := range names {
		if i == maxListed {
			out = append(out, fmt.Sprintf("%d more", len(names)-maxListed))
			break
		}
		out = append(out, fmt.Sprintf("%q", n))
	}
	return strings.Join(out, ", ")
}
