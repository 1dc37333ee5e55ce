// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// portsForImports is how many leg ports dummy Services leave to imports: those must go on working when the ports of a
// large fleet run out.
const portsForImports = 1000

// maxServiceName is how long the name of a Service may be.
const maxServiceName = 63

// Dummies are the dummy Services of an import, one per WAN policy that an exporter offers, without their ports; none
// where they are switched off. A name belongs to who has it: to a Service that stands for something else, or to the
// import whose dummy Service was there first.
func Dummies(l Lister, key types.NamespacedName, merged mcs.Merged) []translate.Dummy {
	if !l.Self().DummyServices || merged.Type != mcsv1beta1.ClusterSetIP || switchedOff(l, key) {
		return nil
	}
	offers := offered(l, merged)
	var out []translate.Dummy
	for _, policy := range offers.names() {
		d := translate.Dummy{Policy: policy, Port: offers[policy]}
		name := translate.DummyServiceName(key.Namespace, key.Name, policy)
		d.Problem = nameProblem(name, l.Service(v1alpha1.Namespace, name), key, policy)
		out = append(out, d)
	}
	return out
}

// switchedOff says that one of the two ServiceImports of a service wants no dummy Services for it. That of the Multi-Cluster
// Services API is there without rules; what others annotate it with stays on it.
func switchedOff(l Lister, key types.NamespacedName) bool {
	off := func(annotations map[string]string) bool {
		return annotations[mcwanv1alpha1.AnnotationDummyServices] == "false"
	}
	rules, si := l.Rules(key.Namespace, key.Name), l.Import(key.Namespace, key.Name)
	return (rules != nil && off(rules.Annotations)) || (si != nil && off(si.Annotations))
}

// nameProblem is why an import cannot have a dummy Service of that name; nil when it can.
func nameProblem(name string, live *corev1.Service, key types.NamespacedName, policy string) *mcs.Problem {
	if len(name) > maxServiceName {
		return &mcs.Problem{Reason: v1alpha1.ReasonNameTooLong, Message: fmt.Sprintf(
			"the dummy Service %s would have %d characters, a Service's name has at most %d; shorten the name of the service or of the WANPolicy",
			name, len(name), maxServiceName)}
	}
	if live == nil {
		return nil
	}
	is := func(label, value string) bool { return live.Labels[label] == value }
	if is(v1alpha1.LabelManagedBy, v1alpha1.ValueManagedBy) && is(v1alpha1.LabelPolicy, policy) &&
		is(v1alpha1.LabelServiceNamespace, key.Namespace) && is(v1alpha1.LabelServiceName, key.Name) {
		return nil
	}
	holder := "somebody else"
	if is(v1alpha1.LabelManagedBy, v1alpha1.ValueManagedBy) && live.Labels[v1alpha1.LabelServiceName] != "" {
		holder = live.Labels[v1alpha1.LabelServiceNamespace] + "/" + live.Labels[v1alpha1.LabelServiceName]
	}
	return &mcs.Problem{Reason: v1alpha1.ReasonNameTaken, Message: fmt.Sprintf(
		"the dummy Service %s cannot be made: Service %s/%s is of %s", name, v1alpha1.Namespace, name, holder)}
}

// offers are the WAN policies that clusters receive on, by name, with the policy's port.
type offers map[string]int32

func (o offers) names() []string {
	out := make([]string, 0, len(o))
	for name := range o {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// offered are the policies on the cards of a service's exporters. The port is that of the policy here, else that of the
// first exporter.
func offered(l Lister, merged mcs.Merged) offers {
	out := offers{}
	for _, card := range Cards(l) {
		if !slices.Contains(merged.Clusters, card.ClusterID) {
			continue
		}
		for _, p := range card.Policies {
			if _, known := out[p.Name]; !known {
				out[p.Name] = p.Port
			}
		}
	}
	for _, p := range l.Policies() {
		if _, known := out[p.Name]; known {
			out[p.Name] = p.Spec.Port
		}
	}
	return out
}

// DummyPorts allocates the listener ports of an import's dummy Services, one per TCP service port and policy, and
// releases those of policies that are no longer there; see LegPorts. What is not in the table afterwards could not be had.
func DummyPorts(table ports.Table, merged mcs.Merged, key types.NamespacedName, dummies []translate.Dummy) ports.Table {
	var wanted []ports.Key
	avoid := ports.Set{}
	for _, p := range merged.Ports {
		avoid[p.Port] = struct{}{}
		for _, d := range dummies {
			if d.Problem == nil && mcs.Carried(p.Protocol) {
				wanted = append(wanted, dummyKey(key, p.Port, d.Policy))
			}
		}
	}
	table = table.Retain(key.Namespace, key.Name, func(k ports.Key) bool { return k.Policy == "" || slices.Contains(wanted, k) })
	for _, k := range wanted {
		if len(table.Get(k)) > 0 || table.Free() > portsForImports {
			// The only error is that nothing is left: the import says so.
			if next, _, err := table.Allocate(k, 1, avoid); err == nil {
				table = next
			}
		}
	}
	return table
}

func dummyKey(key types.NamespacedName, port int32, policy string) ports.Key {
	return ports.Key{Namespace: key.Namespace, Name: key.Name, Port: port, Policy: policy}
}

// withPorts are dummies with what the table has for them; one that lacks a port has a problem.
func withPorts(dummies []translate.Dummy, table ports.Table, merged mcs.Merged, key types.NamespacedName) []translate.Dummy {
	for i := range dummies {
		d := &dummies[i]
		if d.Problem != nil {
			continue
		}
		d.Ports = map[int32]int32{}
		for _, p := range merged.Ports {
			if !mcs.Carried(p.Protocol) {
				continue
			}
			if got := table.Get(dummyKey(key, p.Port, d.Policy)); len(got) == 1 {
				d.Ports[p.Port] = got[0]
			} else {
				d.Problem = &mcs.Problem{Reason: v1alpha1.ReasonOutOfPorts, Message: fmt.Sprintf(
					"no port of the egress gateway is left for the dummy Service %s; remove imports that nobody uses, or switch dummy Services off by the chart's dummyServices.enabled",
					translate.DummyServiceName(key.Namespace, key.Name, d.Policy))}
			}
		}
	}
	return dummies
}
