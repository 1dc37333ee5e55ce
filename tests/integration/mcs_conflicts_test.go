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

// edit says how an export differs from the others.
type edit func(*corev1.Service, *mcsv1beta1.ServiceExport)

// disagreement is one thing that exporters see differently.
type disagreement struct {
	reason string
	// disagree is how many of the three see it differently than the oldest.
	disagree int
	// first, second and third are how the exports of that age differ; nil for not at all.
	first, second, third edit
	// of is what of the import is the oldest one's, and next what it is once that has gone; nil where no single field is.
	of   func(*mcsv1beta1.ServiceImport) any
	next any
}

func clientIP(seconds int32) edit {
	return func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
	}
}

// differing has the second and third exporter differ from the first alike.
func differing(reason string, how edit, of func(*mcsv1beta1.ServiceImport) any, next any) disagreement {
	return disagreement{reason: reason, disagree: 2, second: how, third: how, of: of, next: next}
}

func disagreements() map[string]disagreement {
	local, distribution, minute := corev1.ServiceInternalTrafficPolicyLocal, corev1.ServiceTrafficDistributionPreferClose, int32(60)
	config := differing("SessionAffinityConfigConflict", clientIP(minute),
		func(si *mcsv1beta1.ServiceImport) any { return si.Spec.SessionAffinityConfig },
		&corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &minute}})
	config.first = clientIP(10800)
	return map[string]disagreement{
		"affinity": differing("SessionAffinityConflict", clientIP(minute),
			func(si *mcsv1beta1.ServiceImport) any { return si.Spec.SessionAffinity }, corev1.ServiceAffinityClientIP),
		"affinity-config": config,
		"internal": differing("InternalTrafficPolicyConflict", func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) { s.Spec.InternalTrafficPolicy = &local },
			func(si *mcsv1beta1.ServiceImport) any { return si.Spec.InternalTrafficPolicy }, &local),
		"distribution": differing("TrafficDistributionConflict", func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) { s.Spec.TrafficDistribution = &distribution },
			func(si *mcsv1beta1.ServiceImport) any { return si.Spec.TrafficDistribution }, &distribution),
		"labels": differing("LabelsConflict", func(_ *corev1.Service, e *mcsv1beta1.ServiceExport) {
			e.Spec.ExportedLabels = map[string]string{"team": "other"}
		}, func(si *mcsv1beta1.ServiceImport) any { return si.Labels["team"] }, "other"),
		"annotations": differing("AnnotationsConflict", func(_ *corev1.Service, e *mcsv1beta1.ServiceExport) {
			e.Spec.ExportedAnnotations = map[string]string{"team": "other"}
		}, func(si *mcsv1beta1.ServiceImport) any { return si.Annotations["team"] }, "other"),
		"everything": {
			reason: "TypeConflict,PortConflict,SessionAffinityConflict,SessionAffinityConfigConflict,InternalTrafficPolicyConflict," +
				"TrafficDistributionConflict,LabelsConflict,AnnotationsConflict",
			disagree: 1, // each of the two about other things
			first:    clientIP(10800),
			second: func(s *corev1.Service, e *mcsv1beta1.ServiceExport) {
				clientIP(minute)(s, e)
				s.Spec.Ports[0].Name = "other"
				s.Spec.InternalTrafficPolicy, s.Spec.TrafficDistribution = &local, &distribution
				e.Spec.ExportedLabels, e.Spec.ExportedAnnotations = nil, nil
			},
			third: func(s *corev1.Service, _ *mcsv1beta1.ServiceExport) { s.Spec.ClusterIP = corev1.ClusterIPNone },
		},
	}
}

// exportAs makes a Service and its export, which differ from the others' as the edits say.
func (m *member) exportAs(name string, edits ...edit) *mcsv1beta1.ServiceExport {
	s := service(m.fleet.namespace, name, corev1.ServicePort{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)})
	e := &mcsv1beta1.ServiceExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.fleet.namespace, Name: name},
		Spec:       mcsv1beta1.ServiceExportSpec{ExportedLabels: map[string]string{"team": "money"}, ExportedAnnotations: map[string]string{"team": "money"}},
	}
	for _, differ := range edits {
		if differ != nil {
			differ(s, e)
		}
	}
	m.create(s, slice(m.fleet.namespace, name, 8080, fmt.Sprintf("10.2%d.1.1", m.number)), e)
	return e
}

// conflicts: each field on which three exporters disagree, the importer among them, is the oldest one's; all constituents
// are told, by conditions that name the winner and count the others, and by Events. When the oldest goes, the next one's
// value takes over, and what nobody disagrees about any more is no conflict.
func conflicts(t *testing.T, f *fleet) {
	all := disagreements()
	first, second, third := f.members[1], f.members[2], f.members[0]
	before, oldest := map[string]any{}, map[string]client.Object{}
	var last client.Object
	for name, d := range all {
		last = first.exportAs("differ-"+name, d.first)
		oldest[name] = last
	}
	for name, d := range all {
		if si := third.imported("differ-"+name, first.id); d.of != nil {
			before[name] = d.of(si)
		}
	}
	third.secondPasses(last)
	for name, d := range all {
		last = second.exportAs("differ-"+name, d.second)
	}
	third.secondPasses(last)
	for name, d := range all {
		third.exportAs("differ-"+name, d.third)
	}
	for name, d := range all {
		for _, m := range f.members {
			m.exportIs("differ-"+name, "Conflict", metav1.ConditionTrue, d.reason)
			m.wantNamed("differ-"+name, fmt.Sprintf("from oldest service export in %q. %d/3 clusters disagree.", first.id, d.disagree))
			m.wantEvent("differ-"+name, d.reason)
			si := m.imported("differ-"+name, third.id, first.id, second.id)
			if d.of == nil {
				continue
			}
			if diff := cmp.Diff(before[name], d.of(si)); diff != "" {
				t.Errorf("%s, %s: not the oldest's (-oldest +import):\n%s", m.id, name, diff)
			}
		}
	}
	for _, e := range oldest {
		first.remove(e)
	}
	for name, d := range all {
		if d.of == nil {
			second.wantNamed("differ-"+name, `from oldest service export in "`+second.id+`". 1/2 clusters disagree.`)
			continue
		}
		for _, m := range []*member{second, third} {
			m.exportIs("differ-"+name, "Conflict", metav1.ConditionFalse, "NoConflicts")
		}
		for _, m := range f.members {
			if diff := cmp.Diff(d.next, d.of(m.imported("differ-"+name, third.id, second.id))); diff != "" {
				t.Errorf("%s, %s: not the next one's (-next +import):\n%s", m.id, name, diff)
			}
		}
	}
}

// wantNamed looks for the winner in the message of the condition Conflict.
func (m *member) wantNamed(name, words string) {
	m.fleet.t.Helper()
	m.eventually(soon, "Conflict of "+name+" says who wins", func() error {
		e := &mcsv1beta1.ServiceExport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: name}, e); err != nil {
			return err
		}
		if c := meta.FindStatusCondition(e.Status.Conditions, "Conflict"); c == nil || !strings.Contains(c.Message, words) {
			return fmt.Errorf("it says %v", c)
		}
		return nil
	})
}

// wantEvent waits for an Event about an export; an Event has room for 128 characters of a reason.
func (m *member) wantEvent(name, reason string) {
	m.fleet.t.Helper()
	reason = reason[:min(len(reason), 128)]
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
