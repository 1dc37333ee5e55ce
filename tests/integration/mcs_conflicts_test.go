// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// disagreement is one thing that two exporters see differently.
type disagreement struct {
	reason string
	// second is how the younger export differs.
	second func(*corev1.Service, *mcsv1beta1.ServiceExport)
	// of is what of the import is the older one's.
	of func(*mcsv1beta1.ServiceImport) any
}

func clientIP(seconds int32) func(*corev1.Service, *mcsv1beta1.ServiceExport) {
	return func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
	}
}

func disagreements() map[string]disagreement {
	local, distribution := corev1.ServiceInternalTrafficPolicyLocal, corev1.ServiceTrafficDistributionPreferClose
	return map[string]disagreement{
		"affinity":        {"SessionAffinityConflict", clientIP(60), func(si *mcsv1beta1.ServiceImport) any { return si.Spec.SessionAffinity }},
		"affinity-config": {"SessionAffinityConfigConflict", clientIP(60), func(si *mcsv1beta1.ServiceImport) any { return si.Spec.SessionAffinityConfig }},
		"internal": {"InternalTrafficPolicyConflict", func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) { s.Spec.InternalTrafficPolicy = &local },
			func(si *mcsv1beta1.ServiceImport) any { return si.Spec.InternalTrafficPolicy }},
		"distribution": {"TrafficDistributionConflict", func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) { s.Spec.TrafficDistribution = &distribution },
			func(si *mcsv1beta1.ServiceImport) any { return si.Spec.TrafficDistribution }},
		"labels": {"LabelsConflict", func(_ *corev1.Service, e *mcsv1beta1.ServiceExport) {
			e.Spec.ExportedLabels = map[string]string{"team": "other"}
		}, func(si *mcsv1beta1.ServiceImport) any { return si.Labels["team"] }},
		"annotations": {"AnnotationsConflict", func(_ *corev1.Service, e *mcsv1beta1.ServiceExport) {
			e.Spec.ExportedAnnotations = map[string]string{"team": "other"}
		}, func(si *mcsv1beta1.ServiceImport) any { return si.Annotations["team"] }},
		"several": {"PortConflict,SessionAffinityConflict,LabelsConflict", func(s *corev1.Service, e *mcsv1beta1.ServiceExport) {
			clientIP(60)(s, e)
			s.Spec.Ports[0].Name = "other"
			e.Spec.ExportedLabels = nil
		}, func(si *mcsv1beta1.ServiceImport) any { return si.Spec.Ports }},
	}
}

// exportAs makes a Service and its export; edit says how they differ from the others'.
func (m *member) exportAs(name string, edit func(*corev1.Service, *mcsv1beta1.ServiceExport)) *mcsv1beta1.ServiceExport {
	s := service(m.fleet.namespace, name, corev1.ServicePort{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)})
	e := &mcsv1beta1.ServiceExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.fleet.namespace, Name: name},
		Spec:       mcsv1beta1.ServiceExportSpec{ExportedLabels: map[string]string{"team": "money"}, ExportedAnnotations: map[string]string{"team": "money"}},
	}
	if name == "differ-affinity-config" {
		clientIP(10800)(s, e)
	}
	if edit != nil {
		edit(s, e)
	}
	m.create(s, slice(m.fleet.namespace, name, 8080, fmt.Sprintf("10.2%d.1.1", m.number)), e)
	return e
}

// conflicts: each field on which exporters disagree is the oldest one's, all constituents are told, by conditions that name
// the winner and by Events, and it is over when it is over.
func conflicts(t *testing.T, f *fleet) {
	one, two, three := f.members[0], f.members[1], f.members[2]
	all := disagreements()
	before := map[string]any{}
	var last client.Object
	for name := range all {
		last = two.exportAs("differ-"+name, nil)
	}
	for name, d := range all {
		before[name] = d.of(one.imported("differ-"+name, two.id))
	}
	one.secondPasses(last)
	second := map[string]client.Object{}
	for name, d := range all {
		second[name] = three.exportAs("differ-"+name, d.second)
	}
	for name, d := range all {
		si := one.imported("differ-"+name, two.id, three.id)
		if name != "several" {
			if diff := cmp.Diff(before[name], d.of(si)); diff != "" {
				t.Errorf("%s: not the oldest's (-oldest +import):\n%s", name, diff)
			}
		}
		for _, m := range []*member{two, three} {
			m.exportIs("differ-"+name, "Conflict", metav1.ConditionTrue, d.reason)
			m.wantNamed("differ-"+name, `from oldest service export in "`+two.id+`". 1/2 clusters disagree.`)
			m.wantEvent("differ-"+name, d.reason)
		}
	}
	for _, e := range second {
		three.remove(e)
	}
	for name := range all {
		two.exportIs("differ-"+name, "Conflict", metav1.ConditionFalse, "NoConflicts")
	}
}

// wantNamed looks for the winner in the message of the condition Conflict.
func (m *member) wantNamed(name, words string) {
	m.fleet.t.Helper()
	e := &mcsv1beta1.ServiceExport{}
	if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: name}, e); err != nil {
		m.fleet.t.Fatal(err)
	}
	if c := meta.FindStatusCondition(e.Status.Conditions, "Conflict"); c == nil || !strings.Contains(c.Message, words) {
		m.fleet.t.Errorf("%s: Conflict of %s says %v", m.id, name, c)
	}
}

func (m *member) wantEvent(name, reason string) {
	m.fleet.t.Helper()
	m.told(reason+" of "+name, func(e eventsv1.Event) bool {
		return e.Regarding.Kind == mcsv1beta1.ServiceExportKindName && e.Regarding.Namespace == m.fleet.namespace && e.Regarding.Name == name &&
			e.Reason == reason && e.Type == corev1.EventTypeWarning
	})
}

// portsOfSeveral: the import has the union of the ports, a name and a number are there once, and a port's traffic goes
// only to clusters that expose that very port.
func portsOfSeveral(t *testing.T, f *fleet) {
	one, two, three := f.members[0], f.members[1], f.members[2]
	port := func(name string, number int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.FromInt32(8080)}
	}
	first := two.exportAs("ports", func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) {
		s.Spec.Ports = []corev1.ServicePort{port("http", 80), port("http-admin", 81), port("http-metrics", 82)}
	})
	one.imported("ports", two.id)
	one.secondPasses(first)
	second := three.exportAs("ports", func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) {
		// The same; another number under a name that is taken; another name for a number that is taken; a new one.
		s.Spec.Ports = []corev1.ServicePort{port("http", 80), port("http-admin", 8081), port("http-other", 82), port("http-new", 84)}
	})
	si := one.imported("ports", two.id, three.id)
	var got []string
	for _, p := range si.Spec.Ports {
		got = append(got, fmt.Sprintf("%s=%d", p.Name, p.Port))
	}
	if diff := cmp.Diff([]string{"http=80", "http-admin=81", "http-metrics=82", "http-new=84"}, got); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	for _, m := range []*member{two, three} {
		m.exportIs("ports", "Conflict", metav1.ConditionTrue, "PortConflict")
	}
	for number, want := range map[int32]string{80: two.id + "=50," + three.id + "=50", 81: two.id + "=100", 82: two.id + "=100", 84: three.id + "=100"} {
		one.eventually(soon, fmt.Sprintf("port %d goes to %s", number, want), func() error { return one.sharesAre("ports", number, want) })
	}
	vip := si.Spec.IPs[0]
	one.sourcesAre("ports", map[string]string{
		source(two.id, discoveryv1.AddressTypeIPv4): vip + ":80,81,82", source(three.id, discoveryv1.AddressTypeIPv4): vip + ":80,84",
	})
	three.remove(second)
	two.exportIs("ports", "Conflict", metav1.ConditionFalse, "NoConflicts")
	one.eventually(soon, "the leg of the port that is gone is gone", func() error {
		return one.sharesGone("ports", 84)
	})
}

// sharesGone: nothing routes to a port any more.
func (m *member) sharesGone(name string, port int32) error {
	if err := m.sharesAre(name, port, ""); !strings.Contains(fmt.Sprint(err), "not found") {
		return fmt.Errorf("%s stands: %w", translate.LegName(m.fleet.namespace, name, port), err)
	}
	return nil
}
